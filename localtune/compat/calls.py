"""Carries out the call of a remote function, and stores what comes of it."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localtune.compat.errors import RayTaskError, WorkerCrashedError
from localtune.compat.objects import ObjectRef, ObjectStore
from localtune.utils.serialization import dumps_by_value


@dataclass(frozen=True)
class Call:
    """One call of a remote function.

    Attributes:
        name: Name of the function.
        results: Names of the objects that it makes; empty if its value is not kept.
        attempts: How often it is called if it raises an error.
        resources: What it may use, ``{name: amount}``.
        gpu_ids: The GPUs that it may use.
    """

    name: str
    results: tuple[str, ...]
    attempts: int = 1
    resources: Mapping[str, float] = field(default_factory=dict)
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call.

    A reference among them is replaced by its value before the call. References that are parts of
    an argument stay as they are.

    Attributes:
        args: The positional ones.
        kwargs: The named ones.
        retry_on: Classes of errors after which the function is called again.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    retry_on: tuple[type[BaseException], ...] = ()

    def refs(self) -> list[ObjectRef]:
        """Returns the arguments that are references."""
        return [each for each in (*self.args, *self.kwargs.values()) if isinstance(each, ObjectRef)]

    def travelling(self) -> Arguments:
        """Returns arguments to pickle: their references wait for no value, and keep no file."""
        return Arguments(
            tuple(map(_travelling, self.args)),
            {name: _travelling(value) for name, value in self.kwargs.items()},
            self.retry_on,
        )

    def values(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments with values in place of references."""
        args = tuple(map(_value, self.args))
        return args, {name: _value(value) for name, value in self.kwargs.items()}


@dataclass(frozen=True)
class _Travelling:
    key: str
    directory: str


def _travelling(value: Any) -> Any:
    return _Travelling(value.hex(), value.directory) if isinstance(value, ObjectRef) else value


def _value(value: Any) -> Any:
    if isinstance(value, _Travelling):
        return ObjectRef(value.key, value.directory).value()
    return value.value() if isinstance(value, ObjectRef) else value


# The calls that run in this process, the innermost last.
running: list[Call] = []


def carry_out(
    store: ObjectStore, call: Call, function: Callable[..., Any], arguments: Arguments
) -> None:
    """Calls a function, and stores its value or its error.

    Args:
        store: Where to.
        call: The call.
        function: The function.
        arguments: Its arguments.

    Raises:
        BaseException: what is no error of the function, such as KeyboardInterrupt.
    """
    running.append(call)
    try:
        args, kwargs = arguments.values()
        for attempt in range(call.attempts):
            try:
                value = function(*args, **kwargs)
                # A generator runs here.
                values = [value] if len(call.results) == 1 else list(value if call.results else ())
                break
            except arguments.retry_on:
                if attempt + 1 == call.attempts:
                    raise
        _store_values(store, call, values)
    except SystemExit as error:
        store_error(store, call, WorkerCrashedError(f"{call.name}() called sys.exit({error})."))
    except Exception as error:
        store_error(store, call, _task_error(call, error))
    finally:
        running.pop()


def store_error(store: ObjectStore, call: Call, error: Exception) -> None:
    """Stores an error in place of the values of a call.

    Args:
        store: Where to.
        call: The call.
        error: Error that `ray.get` raises for the values.
    """
    for key in call.results:
        store.write(key, error, is_error=True)


def _store_values(store: ObjectStore, call: Call, values: list[Any]) -> None:
    if len(values) != len(call.results):
        raise ValueError(
            f"{call.name}() has num_returns={len(call.results)}, but returned {len(values)} values."
        )
    for key, value in zip(call.results, values, strict=True):
        store.write(key, value)


def _task_error(call: Call, error: Exception) -> RayTaskError:
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename == __file__:
        shown = shown.tb_next
    if isinstance(error, RayTaskError):
        # An argument, or another remote function that this one called.
        text, cause = str(error), error.cause
    else:
        text = "".join(traceback.format_exception(type(error), error, shown))
        cause = error
    return RayTaskError(call.name, text, cause if _can_travel(cause) else None, os.getpid())


def _can_travel(error: BaseException | None) -> bool:
    """Returns whether an error can be pickled and loaded; many classes of users cannot."""
    try:
        pickle.loads(dumps_by_value(error))
    except Exception:
        return False
    return True
