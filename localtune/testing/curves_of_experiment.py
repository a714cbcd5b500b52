"""curves_of_experiment: the learning curves of an earlier experiment."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from localtune.result import EXPR_RESULT_FILE, NOT_METRICS, TIME_THIS_ITER_S
from localtune.testing.curves import Curves, Parameter
from localtune.utils.dicts import flatten_dict
from localtune.utils.numeric import is_real
from localtune.utils.remote_store import local_path

# Keys that a simulation fills in or decides itself.
_LEFT_OUT = NOT_METRICS - {TIME_THIS_ITER_S}
# Positive numbers over a range of more than this factor are put on a logarithmic scale.
_LOG_FROM = 100.0


def curves_of_experiment(
    path: str | os.PathLike[str], *, log: Collection[str] | None = None
) -> Curves:
    """Returns the learning curves of an experiment's trials, for replay in a simulation.

    Trials without a result are left out. A trial that was stopped early has a short curve. A
    simulated trial ends where its curve ends.

    Args:
        path: Directory of the experiment; each trial's ``result.json`` is read.
        log: Names of the parameters on a logarithmic scale. None takes all parameters whose
            values are positive and differ by more than a factor of 100.

    Returns:
        The curves. Nested parameters have names such as ``"optimizer/lr"``. Parameters with the
        same value in all trials are left out.

    Raises:
        ValueError: if no trial in the directory has a result, or ``log`` names a parameter that
            does not vary or is no positive number.
    """
    directory = Path(local_path(path))
    configs, results = [], []
    for file in sorted(directory.glob(f"*/{EXPR_RESULT_FILE}")):
        lines = list(_lines(file))
        if lines:
            configs.append(flatten_dict(lines[-1].get("config") or {}))
            results.append([_metrics(line) for line in lines])
    if not configs:
        raise ValueError(
            f"{directory} must be the directory of an experiment with results, but no directory "
            f"in it has a {EXPR_RESULT_FILE} with a result."
        )
    parameters = _parameters(configs, log)
    rows = [{name: config.get(name) for name in parameters} for config in configs]
    return Curves(parameters, rows, results)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as text:
        for line in text:
            if line.endswith("\n"):
                yield json.loads(line)


def _metrics(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in _LEFT_OUT}


def _parameters(configs: list[dict[str, Any]], log: Collection[str] | None) -> dict[str, Parameter]:
    parameters = {}
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [config.get(name) for config in configs]
        distinct = list(dict.fromkeys(map(_hashable, values)))
        if len(distinct) > 1:
            parameters[name] = _parameter(name, values, log)
    for name in log or ():
        if name not in parameters:
            raise ValueError(
                f"log must name parameters that vary ({', '.join(parameters) or 'there is none'}), "
                f"but got {name!r}."
            )
    return parameters


def _parameter(name: str, values: list[Any], log: Collection[str] | None) -> Parameter:
    numbers = [value for value in values if is_real(value)]
    is_log = name in log if log is not None else False
    if len(numbers) < len(values):
        if is_log:
            raise ValueError(
                f"log must name parameters with positive numbers, but {name!r} has other values."
            )
        return Parameter(categories=tuple(dict.fromkeys(map(_hashable, values))))
    lower, upper = min(numbers), max(numbers)
    if log is None:
        is_log = lower > 0 and upper / lower > _LOG_FROM
    elif is_log and lower <= 0:
        raise ValueError(
            f"log must name parameters with positive numbers, but {name!r} has {lower!r}."
        )
    is_integer = all(isinstance(value, int) for value in numbers)
    return Parameter(lower, upper, log=is_log, integer=is_integer)


def _hashable(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)
