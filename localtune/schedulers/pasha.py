"""PASHAScheduler: successive halving that goes no further than the order of trials changes."""

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
    from localtune.schedulers.trial_scheduler import ControllerView
    from localtune.trial.trial import Trial

__all__ = ["PASHAScheduler"]


class PASHAScheduler(AsyncHyperBandScheduler):
    """The promotion form of ASHA, with as little time per trial as tells the best ones apart.

    At first, trials are promoted to the second rung only. Each time that a trial arrives at the
    highest rung in use, those that are there are put in order, there and by their scores one
    rung below. As soon as the orders differ, the next rung is put to use, until ``max_t`` is
    reached. Scores that are no further apart than epsilon count as equal: an order that differs
    by no more than noise does not prolong anything.

    The noise is read off the learning curves of the trials at the highest rung. Two curves that
    cross each other at least twice differ by noise; epsilon is a high percentile of such pairs'
    differences at their last common time. Curves are compared at equal values of ``time_attr``,
    so it should count something, as ``training_iteration`` does.

    The best trial has usually not been trained to ``max_t`` when the run ends: train it anew.

    "PASHA: Efficient HPO and NAS with Progressive Resource Allocation" (Bohdal et al., ICLR
    2023, arXiv:2207.06940), section 4. Needs checkpoints.

    Args:
        time_attr: Key of the results that says how far a trial is.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        max_t: Time, in units of ``time_attr``, that no trial goes beyond.
        grace_period: Time of the first rung.
        reduction_factor: The best 1/``reduction_factor`` of a rung go on; more than 1.
        epsilon: Differences of the metric that count as none; None estimates them.
        noise_percentile: Which percentile of the differences epsilon is, from 0 to 100.

    Raises:
        ValueError: for values out of their ranges.

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
    """Promotion up to a rung that rises while the order of trials is not settled.

    Args:
        rungs: In rising order.
        reduction_factor: The best 1/``reduction_factor`` of a rung are promoted.
        epsilon: Differences that count as none, to begin with.
        noise: Estimates epsilon; None leaves it as it is.
    """

    def __init__(
        self, rungs: Sequence[Rung], reduction_factor: float, epsilon: float, noise: Noise | None
    ) -> None:
        super().__init__([rungs], reduction_factor)
        self._ladder = list(rungs)
        self._top = 1  # index of the highest rung in use; behind the last one: no limit any more
        self._epsilon = epsilon
        self._noise = noise

    def observe(self, trial_id: str, time: float, score: float) -> None:
        if self._noise is not None:
            self._noise.observe(trial_id, time, score)

    def enter(self, view: ControllerView, trial: Trial, rung: Rung, score: float) -> bool:
        is_promoted = super().enter(view, trial, rung, score)
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
            # As long as no curves have crossed in a rung, the estimate of the last one holds.
            self._epsilon = self._epsilon if estimate is None else estimate
        if not is_order_kept(rung.scores, self._ladder[self._top - 1].scores, self._epsilon):
            self._top += 1
            if self._noise is not None:
                self._noise.start_rung()


class Noise:
    """Estimates the noise of scores from learning curves that cross each other again and again.

    Args:
        percentile: Which percentile of the differences is the estimate.
    """

    def __init__(self, percentile: float) -> None:
        self._percentile = percentile
        self._curves: dict[str, dict[float, float]] = {}  # {trial id: {time: score}}
        self._differences: list[float] = []  # of pairs in the highest rung whose curves crossed

    def observe(self, trial_id: str, time: float, score: float) -> None:
        """Takes in one point of a curve."""
        self._curves.setdefault(trial_id, {})[time] = score

    def forget(self, trial_id: str) -> None:
        """Drops the curve of a trial that has ended."""
        self._curves.pop(trial_id, None)

    def start_rung(self) -> None:
        """Notes that the next trial to arrive is the first one in its rung."""
        self._differences = []

    def estimate(self, newest: str, trial_ids: Mapping[str, float]) -> float | None:
        """The noise, as soon as one trial more has arrived at the highest rung.

        Args:
            newest: Id of the trial that has just arrived.
            trial_ids: Ids of all that are there.

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
    """How far two curves are apart in the end, if they have crossed at least twice.

    Args:
        one: {time: score}.
        other: {time: score}; only times that both have count.

    Example:
        >>> noise_between({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.4, 2: 0.6, 3: 0.25})
        0.25
    """
    times = sorted(time for time in one if time in other)
    gaps = [one[time] - other[time] for time in times]
    # NaN is neither above nor below.
    sides = [gap > 0 for gap in gaps if gap > 0 or gap < 0]
    crossings = sum(before != after for before, after in pairwise(sides))
    return abs(gaps[-1]) if crossings >= 2 and math.isfinite(gaps[-1]) else None


def is_order_kept(above: Mapping[str, float], below: Mapping[str, float], epsilon: float) -> bool:
    """Whether trials stand in a rung as they stood in the one below.

    Args:
        above: {trial id: score} in the higher rung.
        below: {trial id: score} in the lower one.
        epsilon: Scores no further apart than this count as equal in the lower one.

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
