"""What a failed trial leaves in its directory: ``error.txt`` and ``error.pkl``."""

from __future__ import annotations

import contextlib
import os
import pickle
import time

from localtune.result import EXPR_ERROR_FILE, EXPR_ERROR_PICKLE_FILE
from localtune.utils.files import write_file
from localtune.utils.serialization import dumps_by_value
from localtune.utils.trust import load_own


def write_error(trial_dir: str, failure_number: int, time_s: float, error: BaseException) -> None:
    """Adds a failure to ``error.txt`` and keeps the exception in ``error.pkl``.

    Args:
        trial_dir: Directory of the trial.
        failure_number: Counts the failures of the trial from 1.
        time_s: When it happened, in seconds since the epoch.
        error: What it was. One that cannot be pickled is kept as text only.

    Raises:
        OSError: if the files cannot be written.
    """
    date = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(time_s))
    text = str(error).rstrip() or repr(error)
    block = f"Failure # {failure_number} (occurred at {date})\n{text}\n"
    with open(os.path.join(trial_dir, EXPR_ERROR_FILE), "ab") as file:
        file.write(block.encode("utf-8", "backslashreplace"))
    path = os.path.join(trial_dir, EXPR_ERROR_PICKLE_FILE)
    data = pickled_error(error)
    if data is not None:
        write_file(path, data, sync=False)
        return
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)  # It must not speak of an earlier failure.


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
        with open(os.path.join(trial_dir, EXPR_ERROR_FILE), encoding="utf-8") as text_file:
            return text_file.read()
    except FileNotFoundError:
        return None


def pickled_error(error: BaseException) -> bytes | None:
    """A pickle of an exception, None if it cannot be pickled or not be loaded again."""
    try:
        data = dumps_by_value(error)
        # Some exceptions are pickled without complaint and fail to load.
        pickle.loads(data)
    except Exception:
        return None
    return data
