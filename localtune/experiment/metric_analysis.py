"""Running statistics over the results of one trial."""

from __future__ import annotations

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
        self.window = [value]

    def add(self, value: float, iteration: int) -> None:
        """Takes in the next value; ``iteration`` counts from 1."""
        self.last = value
        # Every comparison with a NaN is false: one that comes later never becomes an extreme,
        # and one that came first gives way.
        if value < self.min:
            self.min = value
        elif value > self.max:
            self.max = value
        elif self.min != self.min:
            self.min = self.max = value
        self.avg = (value + (iteration - 1) * self.avg) / iteration
        self.window.append(value)
        if len(self.window) > _WINDOW:
            del self.window[0]

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
    iteration = max(int(flat_result.get(TRAINING_ITERATION) or 1), 1)
    for key, value in flat_result.items():
        if value.__class__ is not float and not _is_countable(value):
            continue
        known = stats.get(key)
        if known is not None:
            known.add(value, iteration)
        elif key not in _SKIPPED and not str(key).startswith(_CONFIG_PATH):
            stats[key] = MetricStats(value)


def _is_countable(value: Any) -> bool:
    """Whether a mean can be taken of a value: not of text, nor of a gigantic integer."""
    if isinstance(value, int):
        return _MIN_FLOAT <= value <= _MAX_FLOAT
    return isinstance(value, float)


def metric_stats_of(flat_results: Iterable[Mapping[str, Any]]) -> dict[str, MetricStats]:
    """Statistics over a recorded history of flat results."""
    stats: dict[str, MetricStats] = {}
    for flat_result in flat_results:
        update_metric_stats(stats, flat_result)
    return stats
