"""Rungs of successive halving: the scores of the trials that reached them.

::

    bracket 0   1 ---> 4 ---> 16 ---> 64 ---> (max_t 100)
    bracket 1          4 ---> 16 ---> 64 ---> (max_t 100)

Higher scores are better.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import Any

# A trial's place in a rung: (negative score, number of trials before it, trial id). The lowest
# place is the best.
_Place = tuple[float, int, str]


def milestones(
    max_t: float, grace_period: float, reduction_factor: float, bracket: int = 0
) -> list[float]:
    """Returns the times at which the trials of one bracket are compared.

    Args:
        max_t: Time at which trials end.
        grace_period: Time of the first comparison of bracket 0.
        reduction_factor: Ratio of the times of two successive comparisons.
        bracket: Number of comparisons that are left out at the beginning.

    Returns:
        The times in rising order. The list may be empty, and its highest time may be missing
        because of rounding.

    Example:
        >>> milestones(100, 1, 4), milestones(1000, 1, 10)
        ([1, 4, 16, 64], [1, 10, 100])
    """
    # Ray Tune rounds in the same way, and the same rungs are needed here.
    count = int(math.log(max_t / grace_period) / math.log(reduction_factor) - bracket + 1)
    return [grace_period * reduction_factor ** (k + bracket) for k in range(count)]


def quantile(ascending: Sequence[float], fraction: float) -> float:
    """Returns a quantile of sorted numbers, interpolated linearly between the two nearest.

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
    # Interpolating from the nearer number keeps rounding errors within the two.
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


class _Ascending(Sequence[float]):
    """The scores of places, the lowest first. A copy would take long if there are thousands."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        return -self._places[len(self._places) - 1 - index][0]


class Rung:
    """Scores of the trials that reached one milestone.

    Args:
        milestone: Time at which trials are compared.

    Attributes:
        scores: {trial id: score} of the trials that reached it; the score may be NaN.
    """

    def __init__(self, milestone: float) -> None:
        self.milestone = milestone
        self.scores: dict[str, float] = {}
        self._places: dict[str, _Place] = {}
        self._ranked: list[_Place] = []  # places of all trials whose score is not NaN
        self._waiting: list[_Place] = []

    def record(self, trial_id: str, score: float) -> None:
        """Records the score of a trial that has none in this rung.

        Args:
            trial_id: Id of the trial.
            score: Its score; may be NaN.
        """
        is_nan = math.isnan(score)
        place = (math.inf if is_nan else -score, len(self.scores), trial_id)
        self.scores[trial_id] = score
        self._places[trial_id] = place
        if not is_nan:
            insort(self._ranked, place)

    def cutoff(self, reduction_factor: float) -> float | None:
        """Returns the score that separates the best 1/``reduction_factor`` from the others.

        Returns:
            A percentile of all scores except NaN, interpolated linearly; None without scores.
        """
        if not self._ranked:
            return None
        return quantile(_Ascending(self._ranked), 1 - 1 / reduction_factor)

    def best(self) -> Iterator[str]:
        """Yields the ids of the trials whose score is not NaN, the best first."""
        return (trial_id for _, _, trial_id in self._ranked)

    def wait(self, trial_id: str) -> None:
        """Adds a trial with a recorded score to the waiting trials."""
        insort(self._waiting, self._places[trial_id])

    def leave(self, trial_id: str) -> None:
        """Removes a trial from the waiting trials."""
        del self._waiting[bisect_left(self._waiting, self._places[trial_id])]

    def waiting(self) -> Iterator[str]:
        """Yields the ids of the waiting trials, the best first and NaN last."""
        return (trial_id for _, _, trial_id in self._waiting)

    def promotable(self, reduction_factor: float) -> Iterator[str]:
        """Yields the ids of the waiting trials among the best 1/``reduction_factor`` of all."""
        count = int(len(self.scores) / reduction_factor)
        for place in self._waiting:
            # NaN ranks behind all numbers, and must not be promoted when there are few numbers.
            if bisect_left(self._ranked, place) >= min(count, len(self._ranked)):
                return
            yield place[2]
