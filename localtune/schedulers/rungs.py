"""Rungs of successive halving: who reached them, with which score, and who waits there.

::

    bracket 0   1 ---> 4 ---> 16 ---> 64 ---> (max_t 100)
    bracket 1          4 ---> 16 ---> 64 ---> (max_t 100)

Scores are such that higher is better.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

# Where a trial stands in a rung: (score turned round, how many came before, trial id). Sorted,
# the best comes first.
_Place = tuple[float, int, str]


def milestones(
    max_t: float, grace_period: float, reduction_factor: float, bracket: int = 0
) -> list[float]:
    """The times at which the trials of one bracket are compared.

    Args:
        max_t: Time at which trials end.
        grace_period: Time before which none is compared.
        reduction_factor: How many times later the next comparison is.
        bracket: How many comparisons are left out at the beginning.

    Returns:
        In rising order; may be empty, and may lack the highest because of rounding.

    Example:
        >>> milestones(100, 1, 4), milestones(1000, 1, 10)
        ([1, 4, 16, 64], [1, 10, 100])
    """
    # The logarithms round, and int() cuts off: Ray Tune's results depend on exactly this.
    count = int(math.log(max_t / grace_period) / math.log(reduction_factor) - bracket + 1)
    return [grace_period * reduction_factor ** (k + bracket) for k in range(count)]


def quantile(ascending: Sequence[float], fraction: float) -> float:
    """A quantile of sorted numbers, interpolated linearly between the two nearest.

    Args:
        ascending: At least one number, none of them NaN.
        fraction: From 0, the lowest, to 1, the highest.

    Example:
        >>> quantile([1, 2, 3, 5], 0.75)
        3.5
    """
    position = (len(ascending) - 1) * fraction
    below = math.floor(position)
    low, high = ascending[below], ascending[min(below + 1, len(ascending) - 1)]
    part = position - below
    if low == high or part == 0 or low == -math.inf:
        return low
    if high == math.inf:
        return high
    # From the nearer of both, so that rounding never leads past the other.
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


class Rung:
    """Scores of the trials that reached one milestone.

    Args:
        milestone: Time at which trials are compared.

    Attributes:
        scores: {trial id: score} of those that reached it; NaN where there was no number.
    """

    def __init__(self, milestone: float) -> None:
        self.milestone = milestone
        self.scores: dict[str, float] = {}
        self._places: dict[str, _Place] = {}
        self._ranked: list[_Place] = []  # of all but those with NaN
        self._waiting: list[_Place] = []

    def record(self, trial_id: str, score: float) -> None:
        """Takes in the score of a trial that had none here."""
        is_nan = math.isnan(score)
        place = (math.inf if is_nan else -score, len(self.scores), trial_id)
        self.scores[trial_id] = score
        self._places[trial_id] = place
        if not is_nan:
            insort(self._ranked, place)

    def cutoff(self, reduction_factor: float) -> float | None:
        """The score that separates the best 1/``reduction_factor`` from the others.

        Returns:
            A percentile of all scores but NaN, interpolated linearly; None if there are none.
        """
        if not self._ranked:
            return None
        ascending = [-place[0] for place in reversed(self._ranked)]
        return quantile(ascending, 1 - 1 / reduction_factor)

    def best(self) -> Iterator[str]:
        """Ids of the trials whose score is a number, the best first."""
        return (trial_id for _, _, trial_id in self._ranked)

    def wait(self, trial_id: str) -> None:
        """Notes that a trial, whose score is recorded, stays here until it is promoted."""
        insort(self._waiting, self._places[trial_id])

    def leave(self, trial_id: str) -> None:
        """Notes that a trial that waited here does not any more."""
        del self._waiting[bisect_left(self._waiting, self._places[trial_id])]

    def waiting(self) -> Iterator[str]:
        """Ids of those that wait, the best first and NaN last."""
        return (trial_id for _, _, trial_id in self._waiting)

    def promotable(self, reduction_factor: float) -> Iterator[str]:
        """Ids of those that wait and are among the best 1/``reduction_factor`` of all."""
        count = int(len(self.scores) / reduction_factor)
        for place in self._waiting:
            # NaN is behind all numbers, but there may be few of those.
            if bisect_left(self._ranked, place) >= min(count, len(self._ranked)):
                return
            yield place[2]
