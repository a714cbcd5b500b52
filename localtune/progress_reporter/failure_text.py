"""What a failure was, on one line, and where it happened."""

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
    """The first line of what a trial failed with: ``ValueError: lr must be positive``."""
    error = trial.kept_error
    if error is None:
        return "unknown error"
    if isinstance(error, TrialTaskError) and error.summary:
        return printable(error.summary)
    raised = _exception_line(_traceback_of(error))
    if raised:
        return printable(raised)
    # The message of a dead worker says all there is; its class adds nothing.
    return _describe("" if isinstance(error, TrialError) else type(error).__name__, str(error))


def place_of(trial: Trial) -> str | None:
    """Where a trial failed, in the user's code if it took part: ``train.py:12``."""
    place = source_of(trial)
    return None if place is None else printable(f"{os.path.basename(place[0])}:{place[1]}")


def source_of(trial: Trial) -> tuple[str, int] | None:
    """Path and line of where a trial failed, in the user's code if it took part."""
    text = _traceback_of(trial.kept_error)
    frames = list(_FRAME.finditer(text))
    if not frames:
        return None
    if _TRACEBACK in text:  # The stack of a crash has its innermost frame first already.
        frames.reverse()
    chosen = next((each for each in frames if _is_of_user(each["path"])), frames[0])
    return chosen["path"], int(chosen["line"])


def traceback_lines(trial: Trial, at_most: int | None = None) -> list[str]:
    """The traceback of a failure, without empty lines; none if it has none.

    Args:
        trial: That failed.
        at_most: How many of the lines that tell most; None is all.
    """
    text = _traceback_of(trial.kept_error)
    lines = [printable(line) for line in text.splitlines() if line.strip()]
    if at_most is None:
        return lines
    # The stack of a crash has its innermost frame first.
    return lines[-at_most:] if _TRACEBACK in text else lines[:at_most]


def failure_text(trial: Trial) -> str:
    """Cause and place of a failure on one line."""
    place = place_of(trial)
    return f"{cause_of(trial)} ({place})" if place else cause_of(trial)


def _traceback_of(error: BaseException | None) -> str:
    return getattr(error, "traceback_text", "") or ""


def _exception_line(traceback_text: str) -> str:
    """The line of a traceback that names the exception: the first after the last frame.

    The last line of a traceback will not do: messages can have many lines.
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
