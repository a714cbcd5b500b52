"""AsyncHyperBandScheduler, also named ASHAScheduler: asynchronous successive halving."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from localtune.old_names.arguments import old_arguments_of_class
from localtune.result import TRAINING_ITERATION
from localtune.schedulers.asha_promotion import Promotion
from localtune.schedulers.metric_scheduler import MetricScheduler, check_number
from localtune.schedulers.rungs import Rung, milestones
from localtune.utils.text import did_you_mean

if TYPE_CHECKING:
    from localtune.schedulers.base import TuneController
    from localtune.trial.trial import Trial

__all__ = ["ASHAScheduler", "AsyncHyperBandScheduler"]

_TYPES = ("stopping", "promotion")


@old_arguments_of_class("TrialScheduler")
class AsyncHyperBandScheduler(MetricScheduler):
    """Gives more time to the better trials, and stops or pauses the others early.

    Trials are compared at rungs. The first rung is at time ``grace_period``, and each further one
    at ``reduction_factor`` times the time of the one before. The ``type`` tells what happens at a
    rung:

    - ``"stopping"``: a trial is stopped unless it is among the best 1/``reduction_factor`` of the
      trials that reached the rung before it. No trial ever waits, and no checkpoints are needed.
    - ``"promotion"``: every trial is paused at every rung. When a slot is free, the best paused
      trial among the best 1/``reduction_factor`` of its rung goes on. Higher rungs come first. A
      new trial starts only if no trial can be promoted. This type wastes less time on early
      trials, and needs checkpoints. At the end, when no new trial can be created and none can be
      promoted, the best trial of the highest rung goes on to its end, and the others are stopped.
      Paused trials count towards the limit of concurrent trials. If that limit keeps new trials
      from starting, the worst trial of the lowest rung is stopped.

    "A System for Massively Parallel Hyperparameter Tuning" (Li et al., MLSys 2020): the promotion
    form is Algorithm 2, the stopping form a variant of it.

    Args:
        time_attr: Key of the results that measures a trial's time.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        max_t: Time, in units of ``time_attr``, at which trials are stopped.
        grace_period: Time before which no trial is stopped or paused.
        reduction_factor: The best 1/``reduction_factor`` of a rung go on; more than 1.
        brackets: Number of groups into which trials are divided at random. The first comparison
            of each group is one rung later than that of the group before.
        stop_last_trials: Whether trials are stopped at ``max_t``.
        type: ``"stopping"`` or ``"promotion"``.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> ASHAScheduler(metric="loss", mode="min", max_t=81, reduction_factor=3).debug_string()
        'ASHA (rungs at 1, 3, 9, 27, 81; 0 trials stopped)'
    """

    _name = "ASHA"

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        brackets: int = 1,
        stop_last_trials: bool = True,
        type: str = "stopping",
    ) -> None:
        super().__init__(time_attr, metric, mode)
        _check(max_t, grace_period, reduction_factor, brackets, type)
        self._max_t = max_t
        self._reduction_factor = reduction_factor
        self._stop_last_trials = stop_last_trials
        self._brackets = [
            [Rung(each) for each in milestones(max_t, grace_period, reduction_factor, bracket)]
            for bracket in range(brackets)
        ]
        self._bracket_of: dict[str, int] = {}  # {trial id: index}
        self._stopped_count = 0
        self._promotion = self._make_promotion() if type == "promotion" else None

    def _make_promotion(self) -> Promotion:
        return Promotion(self._brackets, self._reduction_factor)

    @property
    def max_iterations(self) -> int | None:
        return int(self._max_t) if self._time_attr == TRAINING_ITERATION else None

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        self._rungs_of(trial.trial_id)
        if self._promotion is not None:
            self._promotion.add(trial)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        if self._promotion is not None:
            self._promotion.take_out(trial.trial_id)
        time, score = self.time_of(result), self._signed(result)
        if time is None or score is None:
            return self.CONTINUE
        if self._promotion is not None:
            self._promotion.observe(trial.trial_id, time, score)
        if time >= self._max_t and self._stop_last_trials:
            return self._stop()
        rung = self._rung_reached(trial.trial_id, time)
        if rung is None:
            return self.CONTINUE
        if self._promotion is not None and time < self._max_t:
            is_promoted = self._promotion.enter(tune_controller, trial, rung, score)
            return self.CONTINUE if is_promoted else self.PAUSE
        cutoff = rung.cutoff(self._reduction_factor)
        rung.record(trial.trial_id, score)
        if self._promotion is not None or cutoff is None or score >= cutoff:
            return self.CONTINUE
        # It is below the cutoff, or NaN.
        return self._stop()

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        time, score = self.time_of(result), self._signed(result)
        if time is not None and score is not None:
            rung = self._rung_reached(trial.trial_id, time)
            if rung is not None:
                rung.record(trial.trial_id, score)
        if self._promotion is not None:
            self._promotion.take_out(trial.trial_id, is_final=True)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        if self._promotion is not None:
            # A retried trial is added again.
            self._promotion.take_out(trial.trial_id, is_final=True, is_lost=True)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        if self._promotion is not None:
            self._promotion.take_out(trial.trial_id, is_final=True, is_lost=True)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        if self._promotion is not None:
            return self._promotion.choose(tune_controller)
        return super().choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        times = [", ".join(f"{rung.milestone:g}" for rung in rungs) for rungs in self._brackets]
        kind = "promotion" if self._promotion is not None else ""
        rungs = " | ".join(each or "none" for each in times)
        return f"{self._name} ({kind + ', ' if kind else ''}rungs at {rungs}; " + (
            f"{self._stopped_count} trials stopped)"
        )

    def _stop(self) -> str:
        self._stopped_count += 1
        return self.STOP

    def _rungs_of(self, trial_id: str) -> list[Rung]:
        index = self._bracket_of.get(trial_id)
        if index is None:
            weights = [math.exp(len(rungs)) for rungs in self._brackets]
            index = self._rng.choices(range(len(weights)), weights)[0]
            self._bracket_of[trial_id] = index
        return self._brackets[index]

    def _rung_reached(self, trial_id: str, time: float) -> Rung | None:
        """Returns the highest rung that a trial has reached without a score in it."""
        for rung in reversed(self._rungs_of(trial_id)):
            if rung.milestone > time:
                continue
            if trial_id not in rung.scores:
                return rung
            if not self._stop_last_trials:
                # The lower rungs that a large step skipped stay without a score.
                return None
        return None


ASHAScheduler = AsyncHyperBandScheduler


def _check(
    max_t: float, grace_period: float, reduction_factor: float, brackets: int, type: str
) -> None:
    check_number("max_t", max_t, lambda value: value > 0, "above 0")
    check_number(
        "grace_period",
        grace_period,
        lambda value: 0 < value <= max_t,
        f"above 0 and at most max_t, {max_t!r}",
    )
    check_number("reduction_factor", reduction_factor, lambda value: value > 1, "above 1")
    if not isinstance(brackets, int) or brackets < 1:
        raise ValueError(f"brackets must be an integer of at least 1, but got {brackets!r}.")
    if type not in _TYPES:
        hint = did_you_mean(type, _TYPES)
        raise ValueError(f"type must be 'stopping' or 'promotion', but got {type!r}.{hint}")
