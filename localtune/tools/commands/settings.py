"""The settings of a sweep: each has one check, for the option and for the key of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.error import UsageError
from localtune.tools.commands.checks import (
    duration,
    flag,
    one_of,
    positive,
    text,
    whole_number,
)
from localtune.tools.commands.expressions import (
    key_and_value,
    named_call,
    unknown_text,
    value_of,
    with_calls,
)
from localtune.tools.commands.program import PROGRAM_CHECKS


def _of(config: type, argument: str, default: Any = None) -> Any:
    """A setting that is an argument of a config."""
    return field(default=default, metadata={"config": config, "argument": argument})


@dataclass
class Sweep:
    """A sweep: what to run and how.

    Attributes:
        trainable: ``module:trainable`` or ``file.py:trainable``; empty for a program.
        program: {setting: value} of a program, empty for a trainable.
        directory: Absolute directory in which ``trainable``, or the program, is looked for.
        param_space: Search space, nested.
        metric: Metric to optimise, None for none.
        mode: ``"min"``, ``"max"`` or None.
        samples: How many times the space is sampled; -1 is without end.
        scheduler: Its name, maybe with arguments, None for none.
        search: Likewise.
        stop: {flat metric: bound}.
        resources: {name: amount} of each trial, empty for the default.
        storage: Absolute directory or URI; None is the default.
        name: Name of the experiment; None makes one.
        seed: None draws one.
        max_concurrent: How many trials run at once; None is what resources allow.
        max_failures: How often a trial is retried; -1 is without end.
        time_budget: Seconds; None is no budget.
        trial_timeout: Seconds after which a trial has failed; None is no limit.
        log_to_file: Whether each trial's output goes to files.
        verbose: How much is shown, from 0 to 3.
        executor: Its name, maybe with arguments, None for processes of this machine.
        shared: Whether the machine is shared with other sweeps, or the ledger of a group; None is
            what the user's settings say.
        if_exists: What to do if the name is taken: ``"add"``, ``"error"`` or ``"resume"``.
    """

    trainable: str = ""
    program: dict[str, Any] = field(default_factory=dict)
    directory: str = field(default_factory=os.getcwd)
    param_space: dict[str, Any] = field(default_factory=dict)
    metric: str | None = _of(TuneConfig, "metric")
    mode: str | None = _of(TuneConfig, "mode")
    samples: int = _of(TuneConfig, "num_samples", 1)
    scheduler: str | None = None
    search: str | None = None
    stop: dict[str, float] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)
    storage: str | None = _of(RunConfig, "storage_path")
    name: str | None = _of(RunConfig, "name")
    seed: int | None = _of(TuneConfig, "seed")
    max_concurrent: int | None = _of(TuneConfig, "max_concurrent_trials")
    max_failures: int = _of(FailureConfig, "max_failures", 0)
    time_budget: float | None = _of(TuneConfig, "time_budget_s")
    trial_timeout: float | None = _of(FailureConfig, "trial_timeout_s")
    log_to_file: bool = _of(RunConfig, "log_to_file", False)
    verbose: int = _of(RunConfig, "verbose", 1)
    executor: str | None = None
    shared: bool | str | None = None
    if_exists: str = _of(RunConfig, "if_exists", "error")

    def put(self, setting: str, value: Any) -> None:
        """Sets a setting; those of a program stay together.

        Args:
            setting: Key of :data:`CHECKS`.
            value: Its value, checked.
        """
        if setting in PROGRAM_CHECKS:
            self.program[setting] = value
        else:
            setattr(self, setting, value)

    def arguments_of(self, config: type) -> dict[str, Any]:
        """Returns {argument: value} of a config, as far as a setting is its argument unchanged."""
        return {
            each.metadata["argument"]: getattr(self, each.name)
            for each in fields(self)
            if each.metadata.get("config") is config
        }


def samples(value: Any) -> int:
    """Checks how many times the search space is sampled."""
    number = whole_number(value)
    if number < 1 and number != -1:
        raise UsageError(f"must be at least 1, or -1 (no end), but got {number}.")
    return number


def retries(value: Any) -> int:
    """Checks a number of retries."""
    number = whole_number(value)
    if number < -1:
        raise UsageError(f"must be at least 0, or -1 (no end), but got {number}.")
    return number


def verbosity(value: Any) -> int:
    """Checks a level of output."""
    number = whole_number(value)
    if not 0 <= number <= 3:
        raise UsageError(f"must be 0, 1, 2 or 3, but got {number}.")
    return number


def bounds(value: Any) -> dict[str, float]:
    """Reads stop conditions: a table, or ``metric=bound`` with commas in between."""
    return _amounts(_pairs(value, "training_iteration=100"))


def resources(value: Any) -> dict[str, float]:
    """Reads resources of a trial: a table, or ``cpu=2,gpu=0.5``."""
    found = _amounts(_pairs(value, "cpu=2,gpu=0.5"))
    for name, amount in found.items():
        if amount < 0:
            raise UsageError(f"{name} must be at least 0, but got {amount}.")
    return {
        name.upper() if name.lower() in ("cpu", "gpu") else name: float(amount)
        for name, amount in found.items()
    }


def shared(value: Any) -> bool | str:
    """Checks whether the machine is shared: true, false, or the directory of a group's ledger."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.strip():
        raise UsageError(
            f"must be true, false, or the directory of a group's ledger, but got {value!r}."
        )
    return value


def scheduler(value: Any) -> str:
    """Checks the name of a scheduler, maybe with arguments: ``asha(max_t=100)``."""
    from localtune import create_scheduler

    made_by_name(text(value), create_scheduler)
    return str(value)


def search(value: Any) -> str:
    """Checks the name of a search algorithm, maybe with arguments."""
    from localtune import create_searcher

    made_by_name(text(value), create_searcher)
    return str(value)


def executor(value: Any) -> str:
    """Checks the name of an executor, maybe with arguments: ``ray(address='auto')``."""
    from localtune.running.named_executors import create_executor

    made_by_name(text(value), create_executor)
    return str(value)


def made_by_name(value: str, create: Callable[..., Any]) -> Any:
    """Makes the scheduler or search algorithm that a text names.

    Args:
        value: Its name, maybe with arguments: ``asha(max_t=100)``.
        create: Makes it from name and arguments.

    Raises:
        UsageError: for an unknown name or argument, or a value out of its range.
    """
    from localtune.utils.calls import accepted

    name, arguments = named_call(value)
    try:
        made = create(name, **arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    unknown = arguments.keys() - accepted(type(made), arguments).keys()
    if unknown:
        import inspect

        known = [each for each in inspect.signature(type(made)).parameters if each != "self"]
        raise UsageError(unknown_text(min(unknown), known, f"argument of {name}"))
    return made


def param_space(value: Any) -> dict[str, Any]:
    """Checks the search space of a sweep file, and makes its calls."""
    if not isinstance(value, Mapping):
        raise UsageError(f"must be a table of parameters, but got {value!r}.")
    return {str(key): with_calls(item) for key, item in value.items()}


def parameter(value: str) -> tuple[list[str], Any]:
    """Reads ``key=value`` of a search space; returns the path of the key, and the value."""
    key, right = key_and_value(value, "lr=loguniform(1e-4,1e-1)")
    return key.split("/"), value_of(right)


def put(space: dict[str, Any], path: list[str], value: Any) -> None:
    """Puts a value into a nested dict.

    Args:
        space: The dict.
        path: Keys from the outermost to the innermost; missing dicts are made.
        value: The value.
    """
    for key in path[:-1]:
        inner = space.setdefault(key, {})
        if not isinstance(inner, dict) or "grid_search" in inner:
            raise UsageError(f"{'/'.join(path)!r} cannot be set: {key!r} is a value itself.")
        space = inner
    space[path[-1]] = value


# {setting: its check}: the keys of a sweep file, and options of `localtune run`.
CHECKS: dict[str, Callable[[Any], Any]] = {
    "trainable": text,
    **PROGRAM_CHECKS,
    "param_space": param_space,
    "metric": text,
    "mode": one_of("min", "max"),
    "samples": samples,
    "scheduler": scheduler,
    "search": search,
    "stop": bounds,
    "resources": resources,
    "storage": text,
    "name": text,
    "seed": whole_number,
    "max_concurrent": positive,
    "max_failures": retries,
    "time_budget": duration,
    "trial_timeout": duration,
    "log_to_file": flag,
    "verbose": verbosity,
    "executor": executor,
    "shared": shared,
}


def _amounts(pairs: dict[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in pairs.items():
        amount = value_of(value) if isinstance(value, str) else value
        if not isinstance(amount, (int, float)) or isinstance(amount, bool):
            raise UsageError(f"{name} must be a number, but got {amount!r}.")
        found[name] = amount
    return found


def _pairs(value: Any, example: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if not isinstance(value, str):
        raise UsageError(f"must be a table, or a text such as {example!r}, but got {value!r}.")
    return dict(key_and_value(each, example) for each in value.split(","))
