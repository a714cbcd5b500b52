"""Finds the parameters that differ between trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.utils.dicts import flatten_dict
from localtune.utils.numeric import is_real
from localtune.utils.text import one_line

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

# A log axis shows a number better if its largest value is so many times its smallest, and half of
# the values crowd in this part of the range.
_LOG_RATIO = 50
_CROWDED = 0.15


@dataclass(frozen=True)
class Parameter:
    """A parameter, with its value in each trial.

    Attributes:
        name: Flat name.
        values: Numbers, or texts of categories; None if a trial does not have the parameter.
        is_number: Whether all values are numbers.
        is_log: Whether a log axis shows it better.
    """

    name: str
    values: list[float | str | None]
    is_number: bool
    is_log: bool = False


def varying_parameters(trials: Sequence[Trial]) -> list[Parameter]:
    """Returns the parameters with more than one value, in the order of the configs."""
    configs = [flat_config(trial.config) for trial in trials]
    names = dict.fromkeys(key for config in configs for key in config)
    found = []
    for name in names:
        values = [config.get(name) for config in configs]
        if len({one_line(value, None) for value in values}) > 1:
            found.append(_parameter(name, values))
    return found


def flat_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a config with flat names; unchanged if it cannot be flattened."""
    try:
        return {str(key): value for key, value in flatten_dict(config).items()}
    except TypeError:
        return {str(key): value for key, value in config.items()}


def as_number(value: Any) -> float | None:
    """Returns the value as a finite float, None if it is none."""
    if not is_real(value):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _parameter(name: str, values: list[Any]) -> Parameter:
    known = [value for value in values if value is not None]
    as_numbers = [as_number(value) for value in known]
    if None not in as_numbers:
        figures = [value for value in as_numbers if value is not None]
        return Parameter(name, [as_number(value) for value in values], True, _suits_log(figures))
    # None is a choice like others among categories.
    return Parameter(name, [one_line(value) for value in values], False)


def _suits_log(values: list[float]) -> bool:
    low, high = min(values), max(values)
    if low <= 0 or high / low < _LOG_RATIO:
        return False
    return (sorted(values)[len(values) // 2] - low) / (high - low) < _CROWDED
