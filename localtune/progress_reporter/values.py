"""What the output shows of a trial: its label, its metrics, its parameters."""

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
    """What a trial is called in the output: the name that the user gave it, else its id."""
    return one_line(trial.custom_trial_name or trial.trial_id)


def as_number(value: Any) -> float | None:
    """A value as a number, None if it is none. Numbers of NumPy and tensors count."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except Exception:  # An array with several elements, or a tensor library's own refusal.
        return None


def lookup(values: Mapping[str, Any], flat_name: str) -> Any:
    """What a nested mapping holds under a name joined by ``/``; None if it is not there."""
    if flat_name in values:  # Nearly always; each result comes by here.
        return values[flat_name]
    return unflattened_lookup(flat_name, values, default=None)


def metric_of(trial: Trial, metric: str) -> float | None:
    """Latest value of a metric, None if the trial did not report it as a number."""
    return as_number(lookup(trial.last_result, metric))


def comparable_metric_of(trial: Trial, metric: str) -> float | None:
    """As :func:`metric_of`; None for NaN and the infinities too: they are never best."""
    value = metric_of(trial, metric)
    return value if value is not None and math.isfinite(value) else None


def own_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """{flat name: value} of the numbers in a result that user code reported."""
    found = {}
    reported = {key: value for key, value in result.items() if key not in NOT_METRICS}
    for name, value in _flat(reported).items():
        number = as_number(value)
        if number is not None:
            found[name] = number
    return found


def parameters_of(trial: Trial) -> dict[str, Any]:
    """{flat name: value} of the parameters that were searched, as they are now.

    A scheduler may have changed them since the trial was made. A searcher that does not say what
    it searched gets the whole configuration shown.
    """
    if not trial.evaluated_params:
        return _flat(trial.config)
    current = {}
    for name, sampled in trial.evaluated_params.items():
        value = lookup(trial.config, name)
        current[name] = sampled if value is None else value
    return current


def parameters_text(trial: Trial, at_most: int = 6) -> str:
    """The searched parameters on one line: ``lr=0.01 batch=32``."""
    parameters = parameters_of(trial)
    shown = [
        f"{one_line(name)}={shorten(one_line(value), 20)}"
        for name, value in list(parameters.items())[:at_most]
    ]
    more = len(parameters) - len(shown)
    return " ".join([*shown, f"(+{more} more)"] if more else shown)


def iterations_of(trial: Trial) -> int | None:
    """How many iterations a trial has finished; None if it has reported nothing."""
    value = trial.last_result.get(TRAINING_ITERATION)
    return value if isinstance(value, int) else None


def trained_s_of(trial: Trial) -> float:
    """How many seconds a trial has trained so far."""
    return as_number(trial.last_result.get(TIME_TOTAL_S)) or trial.run_time_s


def metric_text(name: str, value: float | None) -> str:
    """``loss=0.03``, or "" without a value."""
    return "" if value is None else f"{one_line(name)}={format_number(value)}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    try:
        return flatten_dict(values)
    except TypeError:  # Keys that cannot be joined: such a dict is shown as one value.
        return values
