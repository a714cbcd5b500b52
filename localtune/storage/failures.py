"""What a failed trial leaves in its directory: ``error.txt`` and ``error.pkl``."""

from __future__ import annotations

import datetime
import os
import pickle

from localtune.result import EXPR_ERROR_FILE, EXPR_ERROR_PICKLE_FILE


def write_error(trial_dir: str, failure_number: int, time_s: float, error: BaseException) -> None:
    """Appends a failure to ``error.txt`` and keeps the exception in ``error.pkl``.

    Args:
        trial_dir: Directory of the trial.
        failure_number: Counts the failures of the trial from 1.
        time_s: When it happened, in seconds since the epoch.
        error: What it was. One that cannot be pickled is kept as text only.

    Raises:
        OSError: if the files cannot be written.
    """
    date = datetime.datetime.fromtimestamp(time_s).strftime("%Y-%m-%d_%H-%M-%S")
    text = f"Failure # {failure_number} (occurred at {date})\n{str(error).rstrip()}\n"
    with open(os.path.join(trial_dir, EXPR_ERROR_FILE), "a", encoding="utf-8") as file:
        file.write(text)
    path = os.path.join(trial_dir, EXPR_ERROR_PICKLE_FILE)
    data = _pickled(error)
    if data is None:
        # The file must not speak of an earlier failure.
        if os.path.exists(path):
            os.unlink(path)
        return
    with open(path + ".new", "wb") as binary:
        binary.write(data)
    os.replace(path + ".new", path)


def read_error(trial_dir: str) -> BaseException | str | None:
    """The last failure of a trial.

    Args:
        trial_dir: Directory of the trial.

    Returns:
        The exception; the text of ``error.txt`` where only that can be read; None if the trial
        never failed.
    """
    try:
        with open(os.path.join(trial_dir, EXPR_ERROR_PICKLE_FILE), "rb") as binary:
            error = pickle.load(binary)
        if isinstance(error, BaseException):
            return error
    except Exception:
        # Absent, torn, or of a class that does not exist here: there is the text.
        pass
    try:
        with open(os.path.join(trial_dir, EXPR_ERROR_FILE), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _pickled(error: BaseException) -> bytes | None:
    import cloudpickle

    try:
        data = bytes(cloudpickle.dumps(error))
        # Some exceptions are pickled without complaint and fail to load.
        pickle.loads(data)
    except Exception:
        return None
    return data
