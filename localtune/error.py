"""Defines every exception that localtune raises, in one tree.

TuneError(Exception)                     the run, or a call, cannot continue
|-- TrialError                           one trial failed; contains the worker's traceback
|   |-- TrialTaskError                   user code raised (also an instance of the user's class)
|   |-- WorkerDiedError                  the process ended by itself or by a signal
|   |-- TrialTimeoutError                the trial, or a step of it, took too long
|   +-- WorkerStartError                 a worker process could not be started
|-- ResourceRequestError                 this machine can never grant a request
|-- SearchSpaceError(ValueError)         a search space cannot be sampled
|   +-- RecursiveDependencyError         parts of a search space depend on each other in a circle
|-- MissingMetricError(ValueError)       a result does not have the metric of the run
|-- StorageError(OSError)                an experiment's directory cannot be used
|   |-- UntrustedDirectoryError          another user could have written into it
|   |-- ExperimentExistsError(ValueError) the name of a new experiment is in use
|   |-- ExperimentInUseError             another run works in it
|   +-- LedgerError                      the ledger of a shared machine cannot be used
|-- ProgramError                         a program that a trial runs failed
|-- ExtraMissingError(ImportError)       an optional dependency is not installed
|-- UsageError(ValueError)               a command line or a sweep file is wrong
+-- LocaltuneInternalError               localtune has a bug

TrialStopped(BaseException)              unwinds a function trainable that must stop
"""

from __future__ import annotations


class TuneError(Exception):
    """Base class of the errors that localtune raises intentionally."""


class TrialError(TuneError):
    """Reports that one trial failed.

    Attributes:
        trial_id: Id of the trial; None if unknown.
        trial_dir: Directory of the trial's files; None if unknown.
        traceback_text: Traceback of the worker as text; "" without one.
    """

    def __init__(
        self,
        message: str = "",
        *,
        trial_id: str | None = None,
        trial_dir: str | None = None,
        traceback_text: str = "",
    ) -> None:
        super().__init__(message)
        self.trial_id = trial_id
        self.trial_dir = trial_dir
        self.traceback_text = traceback_text

    def __reduce__(self) -> tuple[object, ...]:
        # The default reduce of exceptions loses keyword-only arguments.
        return (_rebuild_trial_error, (type(self), self.args, self.__getstate__()))

    def __getstate__(self) -> dict[str, object]:
        return dict(self.__dict__)


def _rebuild_trial_error(
    cls: type[TrialError], args: tuple[object, ...], state: dict[str, object]
) -> TrialError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class TrialTaskError(TrialError):
    """Reports that user code raised an exception inside a worker.

    The error that users get is an instance of this class *and* of the class that the user's code
    raised, so that ``isinstance(result.error, ValueError)`` is true. ``cause`` is the exception
    itself if it could be sent to the parent.

    The run keeps the exception pickled, since its class could raise or block where it is loaded.

    Attributes:
        summary: Class and first line of the exception, as text.
        pickled_cause: The pickled exception; None if it could not be sent.
    """

    summary: str = ""
    pickled_cause: bytes | None = None
    _cause: BaseException | None = None

    @property
    def cause(self) -> BaseException | None:
        """The exception that user code raised; None if it cannot be loaded here."""
        if self._cause is None and self.pickled_cause is not None:
            import pickle

            try:
                loaded = pickle.loads(self.pickled_cause)
            except Exception:
                loaded = None  # Its class may exist only in the worker.
            self._cause = loaded if isinstance(loaded, BaseException) else None
        return self._cause

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_cause"}


class WorkerDiedError(TrialError):
    """Reports that a worker process ended without an answer.

    Attributes:
        exit_code: Exit code; negative for the number of a signal, None if unknown.
    """

    exit_code: int | None = None


class TrialTimeoutError(TrialError):
    """Reports that a trial, or one step of it, took longer than allowed.

    Attributes:
        is_final: Whether the trial must not be retried.
    """

    is_final: bool = False


class WorkerStartError(TrialError):
    """Reports that a worker process could not be started.

    Attributes:
        is_shortage: Whether it may start when fewer processes run.
    """

    is_shortage: bool = False


class ResourceRequestError(TuneError):
    """Reports a resource request that this machine can never grant."""


class SearchSpaceError(TuneError, ValueError):
    """Reports a search space, or a part of it, that cannot be sampled."""


class RecursiveDependencyError(SearchSpaceError):
    """Reports parts of a search space that depend on each other in a circle."""


class MissingMetricError(TuneError, ValueError):
    """Reports a result without the metric that the run needs."""


class StorageError(TuneError, OSError):
    """Reports an experiment's directory that cannot be made, read or written."""


class UntrustedDirectoryError(StorageError):
    """Reports an experiment's directory that another user could have written into.

    Attributes:
        reason: Why, as a clause.
    """

    reason: str = ""


class ExperimentExistsError(StorageError, ValueError):
    """Reports that the name of a new experiment is in use, with ``if_exists="error"``.

    Attributes:
        summary: Description of the existing content, without the remedy.
    """

    summary: str = ""


class ExperimentInUseError(StorageError):
    """Reports that another run works in the experiment's directory."""


class LedgerError(StorageError):
    """Reports a ledger of a shared machine that cannot be used."""


class ExtraMissingError(TuneError, ImportError):
    """Reports an optional dependency that is needed but not installed.

    Args:
        package: Name of the package.
        extra: Name of the extra that installs it.
        purpose: The feature that needs it, as the subject of a sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f'Install it with: pip install "localtune-runner[{extra}]"'
        )


class ProgramError(TuneError):
    """Reports that a program that a trial runs failed, or reported no result.

    Attributes:
        exit_code: Exit code of the program, negative for the number of a signal; None if it was not
            started.
        command: The command as a line for the shell.
    """

    exit_code: int | None = None
    command: str = ""


class UsageError(TuneError, ValueError):
    """Reports a wrong command line or sweep file, or an unknown number of a run."""


class LocaltuneInternalError(TuneError):
    """Reports a broken invariant of localtune itself: please report the bug."""


class TrialStopped(BaseException):
    """Raised inside ``report()`` when the trial must end. Do not catch it.

    It derives from BaseException, so that ``except Exception`` in a training loop does not catch
    it. ``finally`` blocks and context managers run.
    """
