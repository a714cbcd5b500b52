"""The executors that a text names: ``Tuner(..., executor="ray")``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.utils.text import did_you_mean

if TYPE_CHECKING:
    from localtune.execution.executor import Executor

# {name: (module, class, the package that it needs)}; the extra has the name of the executor.
_EXECUTORS = {
    "processes": ("local_process", "ProcessExecutor", ""),
    "inprocess": ("in_process", "InProcessExecutor", ""),
    "ray": ("cluster.ray.executor", "RayExecutor", "ray"),
    "dask": ("cluster.dask.executor", "DaskExecutor", "distributed"),
}


def check_name(name: object) -> None:
    """Checks the name of an executor, without loading it.

    Raises:
        ValueError: if there is no such executor.
        ExtraMissingError: if its package is not installed.
    """
    if not isinstance(name, str) or name not in _EXECUTORS:
        names = ", ".join(map(repr, _EXECUTORS))
        hint = did_you_mean(name, _EXECUTORS) if isinstance(name, str) else ""
        raise ValueError(
            f"executor must be None (processes), one of {names}, or an Executor such as "
            f"ProcessExecutor(...), but got {name!r}.{hint}"
        )
    package = _EXECUTORS[name][2]
    if package and find_spec(package) is None:
        raise ExtraMissingError(package, name, f"executor={name!r}")


def is_cluster(name: str) -> bool:
    """Returns whether the trials of an executor may run on other machines.

    Args:
        name: Its name.
    """
    return name in _EXECUTORS and bool(_EXECUTORS[name][2])


def create_executor(name: str, **arguments: Any) -> Executor:
    """Makes an executor by its name.

    Args:
        name: ``"processes"``, ``"inprocess"``, ``"ray"`` or ``"dask"``.
        **arguments: Arguments of its class.

    Raises:
        ValueError: as :func:`check_name`, and for a value that makes no sense.
        TypeError: for an unknown argument.
        ExtraMissingError: if its package is not installed.
    """
    check_name(name)
    module, class_name, _ = _EXECUTORS[name]
    made: Executor = getattr(import_module(f"localtune.execution.{module}"), class_name)(
        **arguments
    )
    return made
