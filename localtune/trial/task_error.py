"""Makes errors that are also instances of the class that user code raised."""

from __future__ import annotations

from typing import Any, TypeVar

from localtune.error import TrialTaskError, TuneError

_DualT = TypeVar("_DualT", bound=TuneError)


def opened_error(error: BaseException | None) -> BaseException | None:
    """Returns the form of a trial's error that users get.

    Args:
        error: Error in the form that the run keeps.

    Returns:
        For a :class:`TrialTaskError` whose cause can be loaded, an error that is also an instance
        of the cause's class. Any other error is returned as it is.
    """
    if type(error) is not TrialTaskError or not isinstance(error.cause, Exception):
        return error
    cause = error.cause
    dual = (
        None
        if isinstance(cause, TrialTaskError)
        else _dual_error(_DualTaskError, type(cause), str(error))
    )
    if dual is not None:
        dual.__dict__.update(error.__dict__)
        error = dual
    error.__cause__ = cause
    return error


def run_error(cause: BaseException, message: str) -> TuneError:
    """Returns the error of a run that user code in this process has ended.

    Args:
        cause: Error that the user code raised.
        message: Text of the new error.

    Returns:
        An error that is also an instance of the cause's class, if such a class can be made.
    """
    error: TuneError | None = None
    if isinstance(cause, Exception) and not isinstance(cause, TuneError):
        error = _dual_error(_DualRunError, type(cause), message)
    if error is None:
        error = TuneError(message)
    error.__cause__ = cause
    return error


class OpenedWhenLoaded:
    """Pickles to the result of :func:`opened_error`, which only the loading process computes.

    Args:
        error: Error in the form that the run keeps.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return (opened_error, (self._error,))


class _Dual(TuneError):
    """Gives a subclass of a user's error the text and the constructor of TuneError."""

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class _DualRunError(_Dual):
    def __reduce__(self) -> tuple[Any, ...]:
        return (run_error, (self.__cause__, str(self)))


class _DualTaskError(_Dual, TrialTaskError):
    def __reduce__(self) -> tuple[Any, ...]:
        closed = TrialTaskError(str(self))
        closed.__dict__.update({name: self.__dict__[name] for name in _KEPT & self.__dict__.keys()})
        return (opened_error, (closed,))


_KEPT = frozenset({"trial_id", "trial_dir", "traceback_text", "summary", "pickled_cause"})


def _dual_error(base: type[_DualT], cls: type[Exception], message: str) -> _DualT | None:
    name = "TrialTaskError" if issubclass(base, TrialTaskError) else "TuneError"
    try:
        dual = type(f"{name}({cls.__name__})", (base, cls), {"__module__": __name__})
        error = dual(message)
        str(error)
    except Exception:
        # Some classes cannot be subclassed, or need other arguments.
        return None
    return error if isinstance(error, base) else None
