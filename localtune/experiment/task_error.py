"""The error of user code as it is handed out: also an instance of the class that was raised."""

from __future__ import annotations

from typing import Any

from localtune.error import TrialTaskError


def opened_error(error: BaseException | None) -> BaseException | None:
    """An error of a trial for whoever reads it.

    Args:
        error: As the run keeps it.

    Returns:
        For a :class:`TrialTaskError` whose cause can be loaded, one that is an instance of the
        cause's class, too; any other error itself.
    """
    if type(error) is not TrialTaskError or not isinstance(error.cause, Exception):
        return error
    cause = error.cause
    dual = None if isinstance(cause, TrialTaskError) else _dual_error(type(cause), str(error))
    if dual is not None:
        dual.__dict__.update(error.__dict__)
        error = dual
    error.__cause__ = cause
    return error


class OpenedWhenLoaded:
    """Pickles as what :func:`opened_error` makes of an error, without making it here.

    Args:
        error: As the run keeps it.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return (opened_error, (self._error,))


class _DualError(TrialTaskError):
    """Mixed into a class of the user's: keeps text and construction those of TrialTaskError."""

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        closed = TrialTaskError(str(self))
        closed.__dict__.update({name: self.__dict__[name] for name in _KEPT & self.__dict__.keys()})
        return (opened_error, (closed,))


_KEPT = frozenset({"trial_id", "trial_dir", "traceback_text", "summary", "pickled_cause"})


def _dual_error(cls: type[Exception], message: str) -> TrialTaskError | None:
    try:
        dual = type(f"TrialTaskError({cls.__name__})", (_DualError, cls), {"__module__": __name__})
        error = dual(message)
        str(error)
    except Exception:
        # Some classes cannot be subclassed or refuse to be made this way.
        return None
    return error if isinstance(error, TrialTaskError) else None
