"""MedianStoppingRule: stops a trial that is worse than the other trials were on average."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

from localtune.old_names.arguments import old_arguments_of_class
from localtune.schedulers.metric_scheduler import (
    WORST,
    MetricScheduler,
    check_number,
    is_another_waiting,
)
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.schedulers.base import TuneController
    from localtune.trial.trial import Trial

__all__ = ["MedianStoppingRule"]


@old_arguments_of_class("TrialScheduler")
class MedianStoppingRule(MetricScheduler):
    """Stops a trial whose best result is below the median of the others' running averages.

    A result at time t is compared with the other trials that have reached t. Each of them counts
    with the mean of its results from the end of the grace period to t.

    "Google Vizier: A Service for Black-Box Optimization" (Golovin et al., KDD 2017), section
    3.2.2.

    Args:
        time_attr: Key of the results that measures a trial's time.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        grace_period: Time, in units of ``time_attr``, before which no trial is stopped. Results
            before it count for no mean.
        min_samples_required: Number of other trials that must have reached t for a comparison.
        min_time_slice: Time, in units of ``time_attr``, after which a trial makes room for a
            waiting one while there are too few trials to compare with.
        hard_stop: Whether worse trials are stopped. Otherwise each is paused once, and goes on
            when there is room; that needs checkpoints.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> MedianStoppingRule(metric="loss", mode="min", grace_period=5).debug_string()
        'Median stopping rule (0 trials stopped)'
    """

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        grace_period: float = 60.0,
        min_samples_required: int = 3,
        min_time_slice: float = 0,
        hard_stop: bool = True,
    ) -> None:
        super().__init__(time_attr, metric, mode)
        for name, value in (
            ("grace_period", grace_period),
            ("min_samples_required", min_samples_required),
            ("min_time_slice", min_time_slice),
        ):
            check_number(name, value, lambda value: value >= 0, "at least 0", may_be_infinite=True)
        self._grace_period = grace_period
        self._min_samples_required = min_samples_required
        self._min_time_slice = min_time_slice
        self._hard_stop = hard_stop
        self._histories: dict[str, _History] = {}
        self._last_pause: dict[str, float] = {}  # {trial id: time}
        self._softly_stopped: set[str] = set()
        self._stopped_count = 0
        # Ids of the trials that were told to pause, in that order.
        self._paused: dict[str, None] = {}

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        trial_id = trial.trial_id
        self._paused.pop(trial_id, None)
        history = self._record(trial_id, result)
        if history is None:
            return self.CONTINUE
        time = history.last_time
        if time < self._grace_period or trial_id in self._softly_stopped:
            return self.CONTINUE
        others = [
            each
            for other_id, each in self._histories.items()
            if other_id != trial_id and each.last_time >= time
        ]
        if len(others) < self._min_samples_required:
            since = time - self._last_pause.get(trial_id, 0)
            if since > self._min_time_slice and is_another_waiting(tune_controller, trial):
                self._last_pause[trial_id] = time
                return self._pause(trial_id)
            return self.CONTINUE
        means = [each.mean(self._grace_period, time) for each in others]
        known = [each for each in means if each is not None]
        if not known or not history.best < median(known):
            return self.CONTINUE
        self._stopped_count += 1
        if self._hard_stop:
            return self.STOP
        self._softly_stopped.add(trial_id)
        return self._pause(trial_id)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._paused.pop(trial.trial_id, None)
        # on_trial_result does not get the last result of a trial.
        self._record(trial.trial_id, result)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self._paused.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._paused.pop(trial.trial_id, None)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Returns the first pending trial, else the trial that has been paused longest."""
        paused: dict[str, Trial] = {}
        for trial in tune_controller.get_live_trials():
            if trial.status is Status.PENDING:
                return trial
            if trial.status is Status.PAUSED:
                paused[trial.trial_id] = trial
        if not paused:
            return None
        first = next((each for each in self._paused if each in paused), next(iter(paused)))
        return paused[first]

    def debug_string(self) -> str:
        return f"Median stopping rule ({self._stopped_count} trials stopped)"

    def _record(self, trial_id: str, result: Mapping[str, Any]) -> _History | None:
        """Adds a result to a trial's history, which it returns.

        Returns:
            None if the result has no time or no metric.
        """
        time, score = self.time_of(result), self.score_of(result)
        if time is None or score is None:
            return None
        history = self._histories.setdefault(trial_id, _History())
        history.append(time, score)
        return history

    def _pause(self, trial_id: str) -> str:
        self._paused[trial_id] = None
        return self.PAUSE


class _History:
    """Times and scores of the results of one trial, by rising time."""

    def __init__(self) -> None:
        self._times = array("d")
        self._scores = array("d")

    @property
    def last_time(self) -> float:
        return self._times[-1]

    @property
    def best(self) -> float:
        return max(self._scores)

    def append(self, time: float, score: float) -> None:
        # A trial that went back to a checkpoint reports the later times again.
        kept = bisect_left(self._times, time)
        del self._times[kept:], self._scores[kept:]
        self._times.append(time)
        self._scores.append(score)

    def mean(self, start: float, end: float) -> float | None:
        """Returns the mean of the scores with ``start <= time <= end``; None if there are none."""
        scores = self._scores[bisect_left(self._times, start) : bisect_right(self._times, end)]
        if not scores:
            return None
        if WORST in scores:
            return WORST
        try:
            return math.fsum(scores) / len(scores)
        except OverflowError:
            return sum(score / len(scores) for score in scores)
