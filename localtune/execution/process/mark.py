"""A mark in the environment of a run's processes, by which they are found when other ways fail.

The descendants of a marked process inherit the mark, also if they leave its session. Neither this
process nor a process that the user's program starts has the mark.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING

from localtune.worker.lifeline import END_TIMEOUT_S

if TYPE_CHECKING:
    import psutil

VARIABLE = "LOCALTUNE_RUNS"
_PAUSE_S = 0.005


def new_mark() -> str:
    """Returns a mark that no other run has."""
    return secrets.token_hex(8)


def environment_with(mark: str) -> dict[str, str]:
    """Returns the environment variable that marks a process.

    A run within a trial adds its mark to that of the run around it.
    """
    return {VARIABLE: f"{os.environ.get(VARIABLE, '')} {mark}".strip()}


def end_marked(mark: str) -> None:
    """Kills all processes with a mark, except this one, and waits until they have ended."""
    import psutil

    give_up_at = time.monotonic() + END_TIMEOUT_S
    while (found := _marked(mark)) and time.monotonic() < give_up_at:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_PAUSE_S)


def _marked(mark: str) -> list[psutil.Process]:
    import psutil

    found = []
    for process in psutil.process_iter():
        # The process belongs to another user, or has ended and has no environment.
        with contextlib.suppress(psutil.Error, OSError):
            marks = process.environ().get(VARIABLE, "").split()
            if mark in marks and process.pid != os.getpid():
                found.append(process)
    return found
