"""failure_text: the cause and the place of a trial's failure on one line."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from localtune.error import TrialError, TrialTaskError
from localtune.utils.text import printable

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'^  File "(?P<path>.+)", line (?P<line>\d+)', re.MULTILINE)
_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NOT_OF_USER = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python3|^<")


def cause_of(trial: Trial) -> str:
    """Returns the first line of a trial's error: ``ValueError: lr must be positive``."""
    error = trial.kept_error
    if error is None:
        return "unknown error"
    if isinstance(error, TrialTaskError) and error.summary:
        return printable(error.summary)
    raised = _exception_line(_traceback_of(error))
    if raised:
        return printable(raised)
    # The message for a dead worker is complete. The name of its class adds nothing.
    return _describe("" if isinstance(error, TrialError) else type(error).__name__, str(error))


def place_of(trial: Trial) -> str | None:
    """Returns the place of a trial's failure, if possible in the user's code: ``train.py:12``."""
    place = source_of(trial)
    return None if place is None else printable(f"{os.path.basename(place[0])}:{place[1]}")


def source_of(trial: Trial) -> tuple[str, int] | None:
    """Returns (path, line) of a trial's failure, if possible in the user's code."""
    text = _traceback_of(trial.kept_error)
    frames = list(_FRAME.finditer(text))
    if not frames:
        return None
    if _TRACEBACK in text:  # Only the stack of a crash has its innermost frame first.
        frames.reverse()
    chosen = next((each for each in frames if _is_of_user(each["path"])), frames[0])
    return chosen["path"], int(chosen["line"])


def traceback_lines(trial: Trial, at_most: int | None = None) -> list[str]:
    """Returns the traceback of a failure, without empty lines.

    Args:
        trial: The failed trial.
        at_most: Largest number of lines, counted from the innermost frame; None for all.
    """
    text = _traceback_of(trial.kept_error)
    lines = [printable(line) for line in text.splitlines() if line.strip()]
    if at_most is None:
        return lines
    # The stack of a crash has its innermost frame first.
    return lines[-at_most:] if _TRACEBACK in text else lines[:at_most]


def failure_text(trial: Trial) -> str:
    """Returns the cause and the place of a failure on one line."""
    place = place_of(trial)
    return f"{cause_of(trial)} ({place})" if place else cause_of(trial)


def _traceback_of(error: BaseException | None) -> str:
    return getattr(error, "traceback_text", "") or ""


def _exception_line(traceback_text: str) -> str:
    """Returns the line of a traceback that names the exception.

    This is the first line after the last frame. The last line of the traceback may be a further
    line of the message.
    """
    if _TRACEBACK not in traceback_text:
        return ""
    start = traceback_text.rfind('\n  File "')
    after_last_frame = traceback_text[start + 1 :].splitlines()
    return next((line for line in after_last_frame if line and not line[0].isspace()), "")


def _describe(type_name: str, message: str) -> str:
    first_line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return printable(": ".join(part for part in (type_name, first_line) if part) or "unknown error")


def _is_of_user(path: str) -> bool:
    return not (_NOT_OF_USER.search(path) or path.startswith(_PACKAGE_DIR))
