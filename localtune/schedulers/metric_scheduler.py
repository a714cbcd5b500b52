"""MetricScheduler: base class of schedulers that compare trials by a metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localtune.config.checks import check_metric_and_mode
from localtune.old_names import use as old
from localtune.result import DEFAULT_METRIC
from localtune.schedulers.base import TuneController
from localtune.schedulers.fifo import FIFOScheduler
from localtune.trial.status import Status
from localtune.utils.dicts import flatten_dict
from localtune.utils.numeric import is_real

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial

# The score of NaN: below that of any number.
WORST = -math.inf


class MetricScheduler(FIFOScheduler):
    """Base class of schedulers that compare trials by a metric at certain times.

    Trials run in the order of their creation, unless a subclass overrides it.

    Args:
        time_attr: Key of the results that measures a trial's time: a number that grows.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.

    Raises:
        ValueError: for another mode, or a metric or ``time_attr`` that is no name.
    """

    def __init__(self, time_attr: str, metric: str | None = None, mode: str | None = None) -> None:
        check_metric_and_mode(metric, mode)
        if not isinstance(time_attr, str) or not time_attr:
            raise ValueError(f"time_attr must be the name of a result key, but got {time_attr!r}.")
        self._time_attr = time_attr
        self._metric = metric
        self._mode = mode

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        if self._mode and mode:
            return False
        if not super().set_search_properties(metric, mode, **spec):
            return False
        self._mode = mode or self._mode
        if self._metric is None and self._mode:
            # A trainable that returns or reports one bare number is scored by this key.
            self._metric = DEFAULT_METRIC
        return True

    def number_keys(self) -> list[str]:
        return [key for key in (self._metric, self._time_attr) if key]

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        self._check_metric()

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        # A scheduler that is used without a run gets no call of check_run.
        self._check_metric()

    def score_of(self, result: Mapping[str, Any]) -> float | None:
        """Returns the metric of a flat result, with its sign set so that higher is better.

        Returns:
            None if the result has no such metric; minus infinity for NaN.

        Raises:
            ValueError: for a metric that is no number.
        """
        score = self._signed(result)
        return WORST if score is not None and math.isnan(score) else score

    def time_of(self, result: Mapping[str, Any]) -> float | None:
        """Returns the time of a flat result, in units of ``time_attr``; None if it has none.

        Raises:
            ValueError: for a time that is no number.
        """
        time = _number(self._time_attr, result)
        return None if time is None or math.isnan(time) else time

    def _checkpoint_time(self, trial: Trial) -> float | None:
        """Returns the time at which a trial would go on from its checkpoint; None if unknown."""
        point = trial.resume_point
        return None if point is None else self.time_of(flatten_dict(point.tracked.metrics))

    def _signed(self, result: Mapping[str, Any]) -> float | None:
        """Returns the score as ``score_of`` does, but NaN as NaN."""
        assert self._metric is not None
        value = _number(self._metric, result)
        return -value if value is not None and self._mode == "min" else value

    def _check_metric(self) -> None:
        if self._metric and not self._mode:
            self._mode = old.translated(old.METRIC_ALONE, error=ValueError)
        missing = " and a ".join(
            name for name, value in (("metric", self._metric), ("mode", self._mode)) if not value
        )
        if missing:
            name = type(self).__name__
            raise ValueError(
                f"{name} compares trials and needs a {missing}. Give it to the run, as in "
                f"TuneConfig(metric='loss', mode='min'), or to {name} itself."
            )


def _number(key: str, result: Mapping[str, Any]) -> float | None:
    value = result.get(key)
    if value is None or isinstance(value, (int, float)):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"A scheduler needs a number in {key!r}, but a trial reported {value!r}."
        ) from None


def check_number(
    name: str,
    value: Any,
    is_right: Callable[[float], bool],
    rule: str,
    *,
    may_be_infinite: bool = False,
) -> None:
    """Checks that an argument is a number that a rule allows.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        is_right: The rule.
        rule: The rule in words, to follow "must be a number".
        may_be_infinite: Whether infinity is allowed.

    Raises:
        ValueError: if it is no number, NaN, or against the rule.
    """
    if is_real(value) and is_right(value) and (may_be_infinite or math.isfinite(value)):
        return
    raise ValueError(f"{name} must be a number {rule}, but got {value!r}.")


def check_range(name: str, value: Any, low: float, high: float) -> None:
    """Checks that an argument is a number in a range.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        low: Lowest allowed value.
        high: Highest allowed value.

    Raises:
        ValueError: if it is no number, NaN, or out of the range.
    """
    rule = f"from {low:g} to {high:g}"
    check_number(name, value, lambda number: low <= number <= high, rule, may_be_infinite=True)


def is_another_waiting(controller: TuneController, trial: Trial) -> bool:
    """Returns whether a trial other than the given one waits to run.

    Args:
        controller: The run.
        trial: The trial that is left out.
    """
    first = controller.next_waiting_trial()
    if first is not trial:
        return first is not None
    return any(
        other.status is Status.PENDING or other.status is Status.PAUSED
        for other in controller.get_live_trials()
        if other is not trial
    )
