"""Writes and reads the failures of a trial: ``error.txt`` and ``error.pkl``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from localtune.result import DATE_FORMAT, EXPR_ERROR_FILE, EXPR_ERROR_PICKLE_FILE
from localtune.trial.own_files import read_own, remove_own, write_own
from localtune.trial.task_error import OpenedWhenLoaded
from localtune.utils.files import no_link
from localtune.utils.serialization import dumps_by_value
from localtune.utils.text import one_line, text_of
from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


def write_error(trial: Trial, failure_number: int, time_s: float, error: BaseException) -> None:
    """Adds a failure to ``error.txt`` and writes the exception to ``error.pkl``.

    Args:
        trial: The trial. Its own files with these names are renamed.
        failure_number: Number of the failure in the trial, from 1.
        time_s: Time of the failure, in seconds since the epoch.
        error: The exception. If it cannot be pickled, only its text is kept.

    Raises:
        OSError: if the files cannot be written.
    """
    date = time.strftime(DATE_FORMAT, time.localtime(time_s))
    text = text_of(error).rstrip() or one_line(error)
    block = f"Failure # {failure_number} (occurred at {date})\n{text}\n"
    before = read_own(trial, EXPR_ERROR_FILE)
    write_own(trial, EXPR_ERROR_FILE, before + block.encode("utf-8", "backslashreplace"))
    try:
        data = dumps_by_value(OpenedWhenLoaded(error))
    except Exception:
        # The file would contain an earlier failure.
        remove_own(trial, EXPR_ERROR_PICKLE_FILE)
    else:
        write_own(trial, EXPR_ERROR_PICKLE_FILE, data)


def read_error(trial_dir: str, *, trust: bool = False) -> BaseException | str | None:
    """Returns the last failure of a trial.

    Args:
        trial_dir: Directory of the trial.
        trust: Whether to unpickle an exception that another user could have written.

    Returns:
        The exception; the text of ``error.txt`` if the exception cannot be loaded; None if the
        trial never failed.
    """
    try:
        error = load_own(os.path.join(trial_dir, EXPR_ERROR_PICKLE_FILE), trust=trust)
        if isinstance(error, BaseException):
            return error
    except Exception:
        # The file is missing, damaged or untrusted, or its class is missing: the text remains.
        pass
    try:
        path = os.path.join(trial_dir, EXPR_ERROR_FILE)
        with open(path, encoding="utf-8", errors="replace", opener=no_link) as text_file:
            return text_file.read()
    except OSError:
        return None
