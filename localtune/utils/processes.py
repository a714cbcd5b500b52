"""Ends processes: a process with its descendants, or all that carry a mark.

A mark is a text in the environment, by which processes are found when other ways fail. The
descendants of a marked process inherit the mark, also if they leave its session. The process that
makes a mark does not carry it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

VARIABLE = "LOCALTUNE_RUNS"
_TIMEOUT_S = 5.0
_PAUSE_S = 0.005


def new_mark() -> str:
    """Returns a mark that no other run has."""
    return os.urandom(8).hex()


def environment_with(mark: str) -> dict[str, str]:
    """Returns the environment variable that marks a process.

    A process that is marked already keeps its marks, and gets one more.
    """
    return {VARIABLE: f"{os.environ.get(VARIABLE, '')} {mark}".strip()}


def end_marked(mark: str) -> None:
    """Kills all processes with a mark, except this one, and waits until they have ended."""
    import psutil

    give_up_at = time.monotonic() + _TIMEOUT_S
    while (found := _marked(mark)) and time.monotonic() < give_up_at:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_PAUSE_S)


def kill_tree(pid: int, *, group: bool) -> None:
    """Kills a process and its descendants.

    Args:
        pid: The process.
        group: Whether it leads a process group, which is killed too.
    """
    import psutil

    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


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
