"""Every exception that localtune raises, in one tree.

TuneError(Exception)                 the run, or a call, cannot go on
|-- TrialError                       one trial failed; carries the worker's traceback
|   |-- TrialTaskError               user code raised (also an instance of the user's class)
|   |-- WorkerDiedError              the process ended by itself or by a signal
|   +-- WorkerStartError             a worker process could not be started
|-- ResourceRequestError             a request that this machine can never meet
|-- SearchSpaceError(ValueError)     a search space that cannot be sampled
|-- MissingMetricError(ValueError)   a result without the metric the run was asked to watch
|-- StorageError(OSError)            an experiment directory that cannot be used
|-- ExtraMissingError(ImportError)   an optional dependency is not installed
|-- UsageError(ValueError)           a command line, or a sweep file, that cannot be carried out
+-- LocaltuneInternalError           a bug of localtune, never the user's

TrialStopped(BaseException)          unwinds a function trainable that was told to stop
"""

from __future__ import annotations


class TuneError(Exception):
    """Base class of all errors that localtune raises on purpose."""


class TrialError(TuneError):
    """One trial failed.

    Attributes:
        trial_id: Id of the trial, or None where it is not known.
        trial_dir: Directory of the trial's files, or None.
        traceback_text: Traceback of the worker as text ("" if it left none).
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
        # Keyword-only arguments do not survive the default reduce of exceptions.
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
    """User code raised inside a worker.

    What a run hands out is an instance of this class *and* of the class that the user's code
    raised, so that ``isinstance(result.error, ValueError)`` holds. ``cause`` is the exception
    itself where it could travel between processes.

    The run itself keeps the exception closed: its class could raise or wait where it is loaded.

    Attributes:
        summary: Class and first line of the exception, as text.
        pickled_cause: The exception as a pickle, None where it could not travel.
    """

    summary: str = ""
    pickled_cause: bytes | None = None
    _cause: BaseException | None = None

    @property
    def cause(self) -> BaseException | None:
        """The exception that user code raised; None where it cannot be loaded here."""
        if self._cause is None and self.pickled_cause is not None:
            import pickle

            try:
                loaded = pickle.loads(self.pickled_cause)
            except Exception:
                loaded = None  # Its class may exist in the worker only.
            self._cause = loaded if isinstance(loaded, BaseException) else None
        return self._cause

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_cause"}


class WorkerDiedError(TrialError):
    """A worker process ended without an answer.

    Attributes:
        exit_code: Exit code; negative is the signal's number, None is unknown.
    """

    exit_code: int | None = None


class TrialTimeoutError(TrialError):
    """A trial, or one step of it, took longer than it was allowed to.

    Attributes:
        is_final: Whether trying again makes no sense.
    """

    is_final: bool = False


class WorkerStartError(TrialError):
    """A worker process could not be started.

    Attributes:
        is_shortage: Whether it may start when fewer run.
    """

    is_shortage: bool = False


class ResourceRequestError(TuneError):
    """A resource request that this machine can never meet."""


class SearchSpaceError(TuneError, ValueError):
    """A search space, or a part of it, that cannot be sampled."""


class RecursiveDependencyError(SearchSpaceError):
    """Parts of a search space that depend on each other in a circle."""


class MissingMetricError(TuneError, ValueError):
    """A result lacks the metric that the run was asked to watch."""


class StorageError(TuneError, OSError):
    """An experiment's directory cannot be created, read or written."""


class UntrustedDirectoryError(StorageError):
    """An experiment's directory that another user could have written into."""


class ExperimentExistsError(StorageError, ValueError):
    """The name of a new experiment is taken, and ``if_exists="error"`` was asked for.

    Attributes:
        summary: What is there, without the remedy.
    """

    summary: str = ""


class ExperimentInUseError(StorageError):
    """Another run is at work in the experiment's directory."""


class ExtraMissingError(TuneError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f'Install it with: pip install "localtune-runner[{extra}]"'
        )


class UsageError(TuneError, ValueError):
    """A command line, a sweep file, or the number of a run, that cannot be carried out."""


class LocaltuneInternalError(TuneError):
    """An invariant of localtune itself is broken: please report it."""


class TrialStopped(BaseException):
    """Raised inside ``report()`` when the trial is to end; let it pass.

    It derives from BaseException so that ``except Exception`` in a training loop does not
    swallow it, while ``finally`` blocks and context managers run.
    """
