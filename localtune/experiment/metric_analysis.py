"""Running statistics over the results of one trial."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from localtune.result import CONFIG_PREFIX, DEBUG_METRICS, TRAINING_ITERATION

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")

_WINDOW = 10
_SKIPPED = frozenset(DEBUG_METRICS)
_CONFIG_PATH = CONFIG_PREFIX + "/"
_MAX_FLOAT = sys.float_info.max
_MIN_FLOAT = -_MAX_FLOAT


class MetricStats:
    """Statistics of one metric over the iterations of one trial.

    Attributes:
        last: Latest value.
        min: Smallest value.
        max: Largest value.
        avg: Mean over all iterations.
        window: The latest ten values, oldest first.
    """

    __slots__ = ("avg", "last", "max", "min", "window")

    def __init__(self, value: float) -> None:
        self.last = self.min = self.max = self.avg = value
        self.window: tuple[float, ...] = (value,)

    def add(self, value: float, iteration: int) -> None:
        """Takes in the next value; ``iteration`` counts from 1."""
        self.last = value
        # A NaN is kept in `last` and never becomes an extreme (comparisons with it are false).
        if value < self.min or math.isnan(self.min):
            self.min = value
        if value > self.max or math.isnan(self.max):
            self.max = value
        self.avg = (value + (iteration - 1) * self.avg) / iteration
        self.window = (*self.window[-_WINDOW + 1 :], value)

    def window_avg(self, length: int) -> float:
        """Mean of the latest ``length`` values (at most ten are kept)."""
        values = self.window[-length:]
        return sum(values) / len(values)

    def value(self, scope: str, mode: str = "max") -> float:
        """The statistic that ``scope`` names; ``all`` takes the extreme that ``mode`` prefers.

        Raises:
            ValueError: for a scope that does not exist.
        """
        if scope == "last":
            return self.last
        if scope == "all":
            return self.max if mode == "max" else self.min
        if scope == "avg":
            return self.avg
        if scope == "last-5-avg":
            return self.window_avg(5)
        if scope == "last-10-avg":
            return self.window_avg(10)
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, but got {scope!r}.")

    def as_dict(self) -> dict[str, float]:
        """The statistics under Ray Tune's names."""
        return {
            "max": self.max,
            "min": self.min,
            "avg": self.avg,
            "last": self.last,
            "last-5-avg": self.window_avg(5),
            "last-10-avg": self.window_avg(10),
        }


def update_metric_stats(stats: dict[str, MetricStats], flat_result: Mapping[str, Any]) -> None:
    """Takes one result into the statistics of a trial.

    Args:
        stats: {flat metric name: statistics}; changed in place.
        flat_result: A result with nested keys joined by ``/``.
    """
    iteration = flat_result.get(TRAINING_ITERATION) or 1
    for key, value in flat_result.items():
        if value.__class__ is not float and not isinstance(value, (int, float)):
            continue
        if key in _SKIPPED or str(key).startswith(_CONFIG_PATH):
            continue
        if isinstance(value, int) and not _MIN_FLOAT <= value <= _MAX_FLOAT:
            # An integer that no mean can be taken of.
            continue
        known = stats.get(key)
        if known is None:
            stats[key] = MetricStats(value)
        else:
            known.add(value, max(int(iteration), 1))


def metric_stats_of(flat_results: Iterable[Mapping[str, Any]]) -> dict[str, MetricStats]:
    """Statistics over a recorded history of flat results."""
    stats: dict[str, MetricStats] = {}
    for flat_result in flat_results:
        update_metric_stats(stats, flat_result)
    return stats
