"""Values of a trial that the output shows: its label, metrics and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localtune.result import NOT_METRICS, TIME_TOTAL_S, TRAINING_ITERATION
from localtune.utils.dicts import flatten_dict, unflattened_lookup
from localtune.utils.text import format_number, one_line, shorten

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


def trial_label(trial: Trial) -> str:
    """Returns a trial's label in the output: the name that the user gave it, else its id."""
    return one_line(trial.custom_trial_name or trial.trial_id)


def as_number(value: Any) -> float | None:
    """Returns a value as a number, None if it is no number; NumPy's scalars and tensors count."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except Exception:  # An array with several elements, or an error of a tensor library.
        return None


def lookup(values: Mapping[str, Any], flat_name: str) -> Any:
    """Returns the value at a flat name in a nested mapping; None if there is none.

    Args:
        values: The nested mapping.
        flat_name: Keys joined by ``/``.
    """
    if flat_name in values:  # The fast path, since this is called for each result.
        return values[flat_name]
    return unflattened_lookup(flat_name, values, default=None)


def metric_of(trial: Trial, metric: str) -> float | None:
    """Returns a trial's latest value of a metric; None if it is missing or no number.

    Args:
        trial: The trial.
        metric: Flat name of the metric.
    """
    return as_number(lookup(trial.last_result, metric))


def comparable_metric_of(trial: Trial, metric: str) -> float | None:
    """Returns a trial's latest value of a metric; None if it is missing or not finite.

    Args:
        trial: The trial.
        metric: Flat name of the metric.
    """
    value = metric_of(trial, metric)
    return value if value is not None and math.isfinite(value) else None


def own_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns {flat name: value} of the numbers in a result that user code reported."""
    found = {}
    reported = {key: value for key, value in result.items() if key not in NOT_METRICS}
    for name, value in _flat(reported).items():
        number = as_number(value)
        if number is not None:
            found[name] = number
    return found


def parameters_of(trial: Trial) -> dict[str, Any]:
    """Returns {flat name: current value} of a trial's searched parameters.

    A scheduler may have changed the values since the trial was created. If the searched
    parameters are unknown, it returns the whole configuration.
    """
    if not trial.evaluated_params:
        return _flat(trial.config)
    current = {}
    for name, sampled in trial.evaluated_params.items():
        value = lookup(trial.config, name)
        current[name] = sampled if value is None else value
    return current


def parameters_text(trial: Trial, at_most: int = 6) -> str:
    """Returns the searched parameters on one line: ``lr=0.01 batch=32``.

    Args:
        trial: The trial.
        at_most: Largest number of parameters.
    """
    parameters = parameters_of(trial)
    shown = [
        f"{one_line(name)}={shorten(one_line(value), 20)}"
        for name, value in list(parameters.items())[:at_most]
    ]
    more = len(parameters) - len(shown)
    return " ".join([*shown, f"(+{more} more)"] if more else shown)


def iterations_of(trial: Trial) -> int | None:
    """Returns the number of iterations that a trial has finished; None without a result."""
    value = trial.last_result.get(TRAINING_ITERATION)
    return value if isinstance(value, int) else None


def start_iterations_of(trial: Trial) -> int | None:
    """Returns the number of iterations at the checkpoint that a trial starts from; None without."""
    point = trial.resume_point
    value = point.tracked.metrics.get(TRAINING_ITERATION) if point is not None else None
    return value if isinstance(value, int) else None


def trained_s_of(trial: Trial) -> float:
    """Returns the seconds that a trial has trained so far."""
    return as_number(trial.last_result.get(TIME_TOTAL_S)) or trial.run_time_s


def metric_text(name: str, value: float | None) -> str:
    """Returns a metric as text, ``loss=0.03``; "" without a value.

    Args:
        name: Name of the metric.
        value: Its value, or None.
    """
    return "" if value is None else f"{one_line(name)}={format_number(value)}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    try:
        return flatten_dict(values)
    except TypeError:  # A nested dict has keys that are no strings. It is shown as one value.
        return values
