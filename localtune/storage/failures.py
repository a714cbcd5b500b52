"""What a failed trial leaves in its directory: ``error.txt`` and ``error.pkl``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from localtune.result import EXPR_ERROR_FILE, EXPR_ERROR_PICKLE_FILE
from localtune.trial.own_files import read_own, remove_own, write_own
from localtune.trial.task_error import OpenedWhenLoaded
from localtune.utils.files import no_link
from localtune.utils.serialization import dumps_by_value
from localtune.utils.text import one_line, text_of
from localtune.utils.trust import load_own

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


def write_error(trial: Trial, failure_number: int, time_s: float, error: BaseException) -> None:
    """Adds a failure to ``error.txt`` and keeps the exception in ``error.pkl``.

    Args:
        trial: The trial. What it has put under these names itself is set aside.
        failure_number: Counts the failures of the trial from 1.
        time_s: When it happened, in seconds since the epoch.
        error: What it was. One that cannot be pickled is kept as text only.

    Raises:
        OSError: if the files cannot be written.
    """
    date = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(time_s))
    text = text_of(error).rstrip() or one_line(error)
    block = f"Failure # {failure_number} (occurred at {date})\n{text}\n"
    before = read_own(trial, EXPR_ERROR_FILE)
    write_own(trial, EXPR_ERROR_FILE, before + block.encode("utf-8", "backslashreplace"))
    try:
        data = dumps_by_value(OpenedWhenLoaded(error))
    except Exception:
        # It must not speak of an earlier failure.
        remove_own(trial, EXPR_ERROR_PICKLE_FILE)
    else:
        write_own(trial, EXPR_ERROR_PICKLE_FILE, data)


def read_error(trial_dir: str, *, trust: bool = False) -> BaseException | str | None:
    """The last failure of a trial.

    Args:
        trial_dir: Directory of the trial.
        trust: Unpickle the exception though another user could have written it.

    Returns:
        The exception; the text of ``error.txt`` where only that can be read; None if the trial
        never failed.
    """
    try:
        error = load_own(os.path.join(trial_dir, EXPR_ERROR_PICKLE_FILE), trust=trust)
        if isinstance(error, BaseException):
            return error
    except Exception:
        # Absent, torn, another user's, or of a class that does not exist here: there is the text.
        pass
    try:
        path = os.path.join(trial_dir, EXPR_ERROR_FILE)
        with open(path, encoding="utf-8", errors="replace", opener=no_link) as text_file:
            return text_file.read()
    except OSError:
        return None
