"""The exceptions of ``ray.exceptions``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class RayError(Exception):
    """Base class of the errors of ``ray``."""


class RayTaskError(RayError):
    """A remote function has raised an error.

    What ``ray.get`` raises is also an instance of the class of that error.

    Args:
        function_name: Name of the function.
        traceback_str: The traceback, as text.
        cause: The error; None if it could not be pickled.
        pid: The process of the function.

    Attributes:
        cause: The error.
        traceback_str: The traceback.
    """

    def __init__(
        self, function_name: str, traceback_str: str, cause: BaseException | None, pid: int = 0
    ) -> None:
        super().__init__(cause)
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.cause = cause
        self.pid = pid

    def as_instanceof_cause(self) -> RayTaskError:
        """Returns this error as an instance of the class of its cause, too."""
        if self.cause is None:
            return self
        kind: Any = type(self.cause)
        made = _dual_class(kind)
        if made is None:
            return self
        # The constructor of the user's class takes arguments that are not known here.
        try:
            error = made.__new__(made)
        except TypeError:
            return self
        error.args = (self.cause,)
        error.__dict__.update({**getattr(self.cause, "__dict__", {}), **vars(self)})
        return error

    def __str__(self) -> str:
        return f"ray::{self.function_name}() (pid={self.pid})\n{self.traceback_str}".rstrip()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _task_error, (self.function_name, self.traceback_str, self.cause, self.pid)


def _task_error(*arguments: Any) -> RayTaskError:
    return RayTaskError(*arguments).as_instanceof_cause()


@functools.lru_cache(maxsize=256)
def _dual_class(kind: type[BaseException]) -> type[RayTaskError] | None:
    """Returns a class that derives from :class:`RayTaskError` and another one; None if none can."""
    if issubclass(RayTaskError, kind):
        return None
    name = f"RayTaskError({kind.__name__})"
    try:
        return type(name, (RayTaskError, kind), {"__module__": "ray.exceptions"})
    except TypeError:
        return None


class TaskCancelledError(RayError):
    """A remote function was cancelled."""


class GetTimeoutError(RayError, TimeoutError):
    """``ray.get`` has waited as long as it may."""


class WorkerCrashedError(RayError):
    """The process of a remote function has ended before the function returned."""


class RaySystemError(RayError):
    """The cluster cannot do what it was asked for."""


class ObjectLostError(RayError):
    """The object of a reference does not exist any more."""


class OwnerDiedError(ObjectLostError):
    """The process that kept the object of a reference has ended."""


class ObjectStoreFullError(RayError):
    """There is no room for an object."""


class OutOfDiskError(RayError):
    """There is no room on the disk."""


class OutOfMemoryError(RayError):
    """A process was ended for lack of memory."""


class RuntimeEnvSetupError(RayError):
    """The environment of workers could not be made."""


class TaskUnschedulableError(RayError):
    """No node can run a remote function."""


class RayActorError(RayError):
    """An actor has failed. localtune has no actors."""


class ActorDiedError(RayActorError):
    """An actor has ended. localtune has no actors."""


class ActorUnavailableError(RayActorError):
    """An actor does not answer. localtune has no actors."""


class ActorUnschedulableError(RayError):
    """No node can run an actor. localtune has no actors."""


class NodeDiedError(RayError):
    """A node has ended. localtune has one node, this machine."""
