"""What a trial's failure looks like to the user."""

from __future__ import annotations

import pickle
from typing import Any

from localtune.error import TrialTaskError, WorkerDiedError
from localtune.execution.executor import WorkerExit
from localtune.experiment.trial import Trial
from localtune.worker import messages as m


def error_of_failed(failed: m.Failed, trial: Trial) -> TrialTaskError:
    """The error for user code that raised, also an instance of the class that it raised."""
    text = failed.traceback_text.rstrip()
    if failed.hint:
        text += f"\n\n{failed.hint}"
    message = (
        f"{failed.type_name}: {failed.message}\n\n"
        f"The trial {trial} failed in {failed.command.lower()}:\n{text}\n\n"
        f"Its files are in {trial.path}"
    )
    cause = _load_cause(failed.pickled_error)
    error = task_error(cause, message)
    error.trial_id, error.trial_dir = trial.trial_id, trial.path
    error.traceback_text = text
    return error


def task_error(cause: BaseException | None, message: str) -> TrialTaskError:
    """A TrialTaskError that is an instance of its cause's class, too, where that can be."""
    error: TrialTaskError | None = None
    if isinstance(cause, Exception) and not isinstance(cause, TrialTaskError):
        error = _dual_error(type(cause), message)
    if error is None:
        error = TrialTaskError(message)
    error.cause = cause
    error.__cause__ = cause
    return error


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


def _load_cause(data: bytes | None) -> BaseException | None:
    if data is None:
        return None
    try:
        cause = pickle.loads(data)
    except Exception:
        # Its class may exist in the worker only.
        return None
    return cause if isinstance(cause, BaseException) else None


class _DualError(TrialTaskError):
    """Mixed into a class of the user's: keeps text and construction those of TrialTaskError."""

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)
        self.trial_id = self.trial_dir = None
        self.traceback_text = ""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.cause, str(self), self.trial_id, self.trial_dir, self.traceback_text)
        return (_rebuild, state)


def _dual_error(cls: type[Exception], message: str) -> TrialTaskError | None:
    try:
        dual = type(f"TrialTaskError({cls.__name__})", (_DualError, cls), {"__module__": __name__})
        error = dual(message)
        str(error)
    except Exception:
        # Some classes cannot be subclassed or refuse to be made this way.
        return None
    return error if isinstance(error, TrialTaskError) else None


def _rebuild(
    cause: BaseException | None,
    message: str,
    trial_id: str | None,
    trial_dir: str | None,
    traceback_text: str,
) -> TrialTaskError:
    error = task_error(cause, message)
    error.trial_id, error.trial_dir, error.traceback_text = trial_id, trial_dir, traceback_text
    return error
