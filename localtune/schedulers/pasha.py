"""PASHAScheduler: successive halving that ends when the order of the best trials is stable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from localtune.schedulers.asha_promotion import Promotion
from localtune.schedulers.async_hyperband import AsyncHyperBandScheduler
from localtune.schedulers.metric_scheduler import WORST
from localtune.schedulers.rungs import Rung, quantile

if TYPE_CHECKING:
    from localtune.schedulers.base import TuneController
    from localtune.trial.trial import Trial

__all__ = ["PASHAScheduler"]


class PASHAScheduler(AsyncHyperBandScheduler):
    """The promotion form of ASHA, with only as much time per trial as a stable order needs.

    At first, trials are promoted to the second rung only. When a trial arrives at the highest
    rung in use, the trials of that rung are ordered twice: by their scores in it, and by their
    scores one rung below. If the two orders differ, the next rung is taken into use, until
    ``max_t`` is reached. Scores that differ by epsilon or less count as equal, so that noise
    does not prolong the run.

    The noise is estimated from the learning curves of the trials at the highest rung. Two curves
    that cross each other at least twice differ by noise. Epsilon is a high percentile of such
    pairs' differences at their last common time. Curves are compared at equal values of
    ``time_attr``, so it should be a count, such as ``training_iteration``.

    At the end of the run, the best trial has usually not been trained to ``max_t``. Train its
    configuration anew.

    "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (Bohdal et al., ICLR
    2023, arXiv:2207.06940), section 4. Needs checkpoints.

    Args:
        time_attr: Key of the results that measures a trial's time.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        max_t: Time, in units of ``time_attr``, that no trial goes beyond.
        grace_period: Time of the first rung.
        reduction_factor: The best 1/``reduction_factor`` of a rung go on; more than 1.
        epsilon: Largest difference of the metric that counts as noise; None estimates it.
        noise_percentile: Percentile of the differences that epsilon is, from 0 to 100.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> PASHAScheduler(metric="loss", mode="min", max_t=81, reduction_factor=3).debug_string()
        'PASHA (promotion, rungs at 1, 3, 9, 27, 81; 0 trials stopped)'
    """

    _name = "PASHA"

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        epsilon: float | None = None,
        noise_percentile: float = 90,
    ) -> None:
        if epsilon is not None and not 0 <= epsilon < math.inf:
            raise ValueError(f"epsilon must be None or a number from 0 on, but got {epsilon!r}.")
        if not 0 <= noise_percentile <= 100:
            raise ValueError(
                f"noise_percentile must be from 0 to 100, but got {noise_percentile!r}."
            )
        self._epsilon = epsilon
        self._noise_percentile = noise_percentile
        super().__init__(
            time_attr, metric, mode, max_t, grace_period, reduction_factor, type="promotion"
        )

    def _make_promotion(self) -> Promotion:
        noise = None if self._epsilon is not None else Noise(self._noise_percentile)
        return GrowingPromotion(
            self._brackets[0], self._reduction_factor, self._epsilon or 0.0, noise
        )


class GrowingPromotion(Promotion):
    """Promotion up to a highest rung, which rises while the order of trials changes.

    Args:
        rungs: The rungs in rising order.
        reduction_factor: The best 1/``reduction_factor`` of a rung are promoted.
        epsilon: Initial value of the largest difference that counts as noise.
        noise: Estimates epsilon; None keeps the initial value.
    """

    def __init__(
        self, rungs: Sequence[Rung], reduction_factor: float, epsilon: float, noise: Noise | None
    ) -> None:
        super().__init__([rungs], reduction_factor)
        self._ladder = list(rungs)
        self._top = 1  # index of the highest rung in use; len(rungs) for no limit
        self._epsilon = epsilon
        self._noise = noise

    def observe(self, trial_id: str, time: float, score: float) -> None:
        if self._noise is not None:
            self._noise.observe(trial_id, time, score)

    def enter(self, controller: TuneController, trial: Trial, rung: Rung, score: float) -> bool:
        is_promoted = super().enter(controller, trial, rung, score)
        if self._top < len(self._ladder) and rung is self._ladder[self._top]:
            self._on_top_reached(trial.trial_id, rung)
        return is_promoted

    def take_out(self, trial_id: str, *, is_final: bool = False, is_lost: bool = False) -> None:
        super().take_out(trial_id, is_final=is_final, is_lost=is_lost)
        if is_final and self._noise is not None:
            self._noise.forget(trial_id)

    def _is_open(self, rung: Rung) -> bool:
        return self._top >= len(self._ladder) or rung.milestone < self._ladder[self._top].milestone

    def _on_top_reached(self, trial_id: str, rung: Rung) -> None:
        if self._noise is not None:
            estimate = self._noise.estimate(trial_id, rung.scores)
            # The last estimate holds until two curves have crossed in this rung.
            self._epsilon = self._epsilon if estimate is None else estimate
        if not is_order_kept(rung.scores, self._ladder[self._top - 1].scores, self._epsilon):
            self._top += 1
            if self._noise is not None:
                self._noise.start_rung()


class Noise:
    """Estimates the noise of scores from learning curves that cross each other repeatedly.

    Args:
        percentile: Percentile of the differences that is the estimate, from 0 to 100.
    """

    def __init__(self, percentile: float) -> None:
        self._percentile = percentile
        self._curves: dict[str, dict[float, float]] = {}  # {trial id: {time: score}}
        self._differences: list[float] = []  # of pairs in the highest rung whose curves crossed

    def observe(self, trial_id: str, time: float, score: float) -> None:
        """Adds one point to a trial's curve.

        Args:
            trial_id: Id of the trial.
            time: Time of the point.
            score: Score at that time.
        """
        self._curves.setdefault(trial_id, {})[time] = score

    def forget(self, trial_id: str) -> None:
        """Drops the curve of a trial that has ended."""
        self._curves.pop(trial_id, None)

    def start_rung(self) -> None:
        """Drops the differences of the last rung."""
        self._differences = []

    def estimate(self, newest: str, trial_ids: Mapping[str, float]) -> float | None:
        """Returns the noise after one more trial has arrived at the highest rung.

        Args:
            newest: Id of the trial that has arrived.
            trial_ids: Ids of all trials of the rung.

        Returns:
            None if no two curves have crossed.
        """
        curve = self._curves.get(newest, {})
        for other in trial_ids:
            if other != newest:
                difference = noise_between(curve, self._curves.get(other, {}))
                if difference is not None:
                    self._differences.append(difference)
        if not self._differences:
            return None
        self._differences.sort()
        return quantile(self._differences, self._percentile / 100)


def noise_between(one: Mapping[float, float], other: Mapping[float, float]) -> float | None:
    """Returns the last difference of two curves that have crossed at least twice, else None.

    Only the times of both curves count.

    Args:
        one: {time: score}.
        other: {time: score}.

    Example:
        >>> noise_between({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.4, 2: 0.6, 3: 0.25})
        0.25
    """
    times = sorted(time for time in one if time in other)
    gaps = [one[time] - other[time] for time in times]
    # A difference of 0 or NaN is on neither side.
    sides = [gap > 0 for gap in gaps if gap > 0 or gap < 0]
    crossings = sum(before != after for before, after in pairwise(sides))
    return abs(gaps[-1]) if crossings >= 2 and math.isfinite(gaps[-1]) else None


def is_order_kept(above: Mapping[str, float], below: Mapping[str, float], epsilon: float) -> bool:
    """Returns whether trials have the same order in a rung as in the rung below.

    Args:
        above: {trial id: score} in the higher rung.
        below: {trial id: score} in the lower rung.
        epsilon: Largest difference of scores in the lower rung that counts as none.

    Example:
        >>> is_order_kept({"a": 0.9, "b": 0.8}, {"a": 0.5, "b": 0.6}, epsilon=0.05)
        False
    """
    ids = [trial_id for trial_id in above if trial_id in below]
    now = sorted(ids, key=lambda trial_id: -_ranked(above[trial_id]))
    before = sorted(ids, key=lambda trial_id: -_ranked(below[trial_id]))
    for ours, theirs in zip(now, before, strict=True):
        a, b = _ranked(below[ours]), _ranked(below[theirs])
        if a != b and not abs(a - b) <= epsilon:
            return False
    return True


def _ranked(score: float) -> float:
    return WORST if math.isnan(score) else score
