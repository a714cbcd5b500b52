"""Errors and warnings that tell the user of a trial's failure."""

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
from localtune.utils.temporary import files_text
from localtune.utils.text import text_of
from localtune.worker import messages

# Errors that concern all trials: the disk is full, read-only, or gone.
_OF_THE_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO, errno.ENODEV}
)


def error_of_failed(failed: messages.Failed, trial: Trial) -> TrialTaskError:
    """Returns the error for user code that raised; its exception stays pickled in the error.

    Args:
        failed: The worker's answer.
        trial: The trial.
    """
    text = failed.traceback_text.rstrip()
    hint = f"\n\n{failed.hint}" if failed.hint else ""
    # The text of a program's failure is the message itself.
    rest = f":\n{text}" if text != failed.message.rstrip() else "."
    text += hint
    message = (
        f"{failed.type_name}: {failed.message}\n\n"
        f"The trial {trial} failed in {failed.command.lower()}{rest}{hint}{files_text(trial.path)}"
    )
    error = TrialTaskError(
        message, trial_id=trial.trial_id, trial_dir=trial.path, traceback_text=text
    )
    first_line = next((line.strip() for line in failed.message.splitlines() if line.strip()), "")
    error.summary = ": ".join(filter(None, (failed.type_name.rpartition(".")[2], first_line)))
    error.pickled_cause = failed.pickled_error
    return error


def error_of_fault(fault: BaseException, trial: Trial, reason: str) -> TrialError:
    """Returns the error for a trial that the run could not serve.

    Args:
        fault: The exception, raised in this process.
        trial: The trial.
        reason: A clause that follows "because": ``"its directory could not be prepared"``.
    """
    import traceback

    text = "".join(traceback.format_tb(fault.__traceback__))
    error = TrialError(
        f"{type(fault).__name__}: {text_of(fault)}\n\nThe trial {trial} failed because {reason}."
        f"{files_text(trial.path)}",
        trial_id=trial.trial_id,
        trial_dir=trial.path,
        traceback_text=f"Traceback (most recent call last):\n{text}"
        f"{type(fault).__name__}: {text_of(fault)}",
    )
    error.__cause__ = fault
    return error


def warning_of(error: TrialError, trial: Trial) -> str:
    """Returns the text, on one line, of a failure that changes nothing for its trial.

    Args:
        error: Its message may have several lines.
        trial: Has ended already, or is failing.
    """
    return f"{trial}: {' '.join(filter(None, str(error).splitlines()))}"


def is_of_the_run(fault: BaseException, experiment_path: str) -> bool:
    """Returns whether an exception that one trial has met would meet all other trials, too.

    Args:
        fault: The exception.
        experiment_path: Directory of the experiment.
    """
    if isinstance(fault, (StorageError, LocaltuneInternalError)):
        return True
    if not isinstance(fault, OSError):
        return False
    return fault.errno in _OF_THE_DISK or not os.path.isdir(experiment_path)


def error_of_exit(exit: WorkerExit, trial: Trial, during: str) -> WorkerDiedError:
    """Returns the error for a worker that ended without an answer.

    Args:
        exit: How the worker ended.
        trial: The trial that it served.
        during: The command in flight, as a noun.
    """
    message = f"{exit.describe()}, during {during} of the trial {trial}."
    if exit.crash_text:
        message += f"\n\n{exit.crash_text.rstrip()}"
    message += files_text(trial.path)
    error = WorkerDiedError(
        message, trial_id=trial.trial_id, trial_dir=trial.path, traceback_text=exit.crash_text
    )
    error.exit_code = exit.exit_code
    return error
