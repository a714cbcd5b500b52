"""What a trial's failure looks like to the user."""

from __future__ import annotations

import errno
import os

from localtune.error import (
    LocaltuneInternalError,
    StorageError,
    TrialError,
    TrialTaskError,
    WorkerDiedError,
)
from localtune.execution.executor import WorkerExit
from localtune.trial.trial import Trial
from localtune.utils.text import text_of
from localtune.worker import messages

# What these say holds for all trials: there is no room, or no disk.
_OF_THE_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO, errno.ENODEV}
)


def error_of_failed(failed: messages.Failed, trial: Trial) -> TrialTaskError:
    """The error for user code that raised; what it raised stays closed in it."""
    text = failed.traceback_text.rstrip()
    if failed.hint:
        text += f"\n\n{failed.hint}"
    message = (
        f"{failed.type_name}: {failed.message}\n\n"
        f"The trial {trial} failed in {failed.command.lower()}:\n{text}\n\n"
        f"Its files are in {trial.path}"
    )
    error = TrialTaskError(
        message, trial_id=trial.trial_id, trial_dir=trial.path, traceback_text=text
    )
    first_line = next((line.strip() for line in failed.message.splitlines() if line.strip()), "")
    error.summary = ": ".join(filter(None, (failed.type_name.rpartition(".")[2], first_line)))
    error.pickled_cause = failed.pickled_error
    return error


def error_of_fault(fault: BaseException, trial: Trial, what: str) -> TrialError:
    """The error for a trial that the run could not serve.

    Args:
        fault: What was raised in this process.
        trial: The trial.
        what: What it was raised by, with a verb: ``"its directory could not be prepared"``.
    """
    import traceback

    text = "".join(traceback.format_tb(fault.__traceback__))
    error = TrialError(
        f"{type(fault).__name__}: {text_of(fault)}\n\nThe trial {trial} failed because {what}. "
        f"Its files are in {trial.path}",
        trial_id=trial.trial_id,
        trial_dir=trial.path,
        traceback_text=f"Traceback (most recent call last):\n{text}"
        f"{type(fault).__name__}: {text_of(fault)}",
    )
    error.__cause__ = fault
    return error


def warning_of(error: TrialError, trial: Trial) -> str:
    """A failure that changes nothing for its trial, on one line.

    Args:
        error: Its message may have several lines.
        trial: Has ended already, or is failing.
    """
    return f"{trial}: {' '.join(filter(None, str(error).splitlines()))}"


def is_of_the_run(fault: BaseException, experiment_path: str) -> bool:
    """Whether what was raised on behalf of one trial would meet all others, too."""
    if isinstance(fault, (StorageError, LocaltuneInternalError)):
        return True
    if not isinstance(fault, OSError):
        return False
    return fault.errno in _OF_THE_DISK or not os.path.isdir(experiment_path)


def error_of_exit(exit: WorkerExit, trial: Trial, during: str) -> WorkerDiedError:
    """The error for a worker that ended without an answer."""
    message = f"{exit.describe()}, during {during} of the trial {trial}."
    if exit.crash_text:
        message += f"\n\n{exit.crash_text.rstrip()}"
    message += f"\n\nIts files are in {trial.path}"
    error = WorkerDiedError(
        message, trial_id=trial.trial_id, trial_dir=trial.path, traceback_text=exit.crash_text
    )
    error.exit_code = exit.exit_code
    return error
