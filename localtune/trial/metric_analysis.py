"""Computes running statistics over the results of one trial."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from localtune.error import LocaltuneInternalError
from localtune.result import CONFIG_PREFIX, DEBUG_METRICS

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")

_WINDOW = 10
_SKIPPED = frozenset(DEBUG_METRICS)
_CONFIG_PATH = CONFIG_PREFIX + "/"
_MAX_FLOAT = sys.float_info.max
_MIN_FLOAT = -_MAX_FLOAT
_NUMBERS = (float, int)


class MetricStats:
    """Holds statistics of one metric over the iterations of one trial.

    Attributes:
        last: Latest value.
        min: Smallest value.
        max: Largest value.
        avg: Mean of all values.
        count: Number of values; unset in closed statistics.
        window: The latest ten values, oldest first; None in closed statistics, which accept no more
            values.
    """

    __slots__ = ("_avg_5", "_avg_10", "avg", "count", "last", "max", "min", "window")

    NUMBERS: ClassVar = 6

    _avg_5: float
    _avg_10: float

    def __init__(self, value: float) -> None:
        self.last = self.min = self.max = self.avg = value
        self.count = 1
        self.window: list[float] | None = [value]

    def add(self, value: float) -> None:
        """Adds the next value."""
        if self.window is None:
            raise LocaltuneInternalError("A trial got a result after its end.")
        self.last = value
        # Every comparison with NaN is false. So a later NaN never becomes an extreme, and the
        # next number replaces a NaN that came first.
        if value < self.min:
            self.min = value
        elif value > self.max:
            self.max = value
        elif self.min != self.min:
            self.min = self.max = value
        self.avg = (value + self.count * self.avg) / (self.count + 1)
        self.count += 1
        self.window.append(value)
        if len(self.window) > _WINDOW:
            del self.window[0]

    def _window_avg(self, length: int) -> float:
        """Returns the mean of the latest ``length`` values; ``length`` is 5 or 10."""
        if self.window is None:
            return self._avg_5 if length == 5 else self._avg_10
        values = self.window[-length:]
        return sum(values) / len(values)

    def numbers(self) -> tuple[float, ...]:
        """Returns all statistics in the order that :meth:`of_numbers` expects."""
        tail = self._window_avg(5), self._window_avg(10)
        return (self.last, self.min, self.max, self.avg, *tail)

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> MetricStats:
        """Returns closed statistics with these :meth:`numbers`."""
        stats = cls.__new__(cls)
        stats.last, stats.min, stats.max, stats.avg, stats._avg_5, stats._avg_10 = numbers
        stats.window = None
        return stats

    def value(self, scope: str, mode: str = "max") -> float:
        """Returns one statistic.

        Args:
            scope: One of :data:`SCOPES`.
            mode: For the scope ``all``: ``"max"`` selects the largest value, ``"min"`` the
                smallest.

        Raises:
            ValueError: for an unknown scope.
        """
        if scope == "last":
            return self.last
        if scope == "all":
            return self.max if mode == "max" else self.min
        if scope == "avg":
            return self.avg
        if scope == "last-5-avg":
            return self._window_avg(5)
        if scope == "last-10-avg":
            return self._window_avg(10)
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, but got {scope!r}.")

    def as_dict(self) -> dict[str, float]:
        """Returns the statistics under Ray Tune's names."""
        return {
            "max": self.max,
            "min": self.min,
            "avg": self.avg,
            "last": self.last,
            "last-5-avg": self._window_avg(5),
            "last-10-avg": self._window_avg(10),
        }


class PackedStats:
    """Stores the statistics of an ended trial in much less memory.

    Args:
        stats: {flat metric: statistics}.
    """

    __slots__ = ("_numbers", "_whole", "names")

    # Trials with the same metrics share one tuple of names.
    _known_names: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}

    def __init__(self, stats: Mapping[str, MetricStats]) -> None:
        names = tuple(stats)
        self.names = self._known_names.setdefault(names, names)
        values = [value for each in stats.values() for value in each.numbers()]
        self._numbers = array("d", values)
        # One bit per value, after a leading 1, tells whether the value is an int. Conversion
        # from text takes one pass; setting single bits would copy the integer for each bit.
        flags = "".join("1" if isinstance(value, int) else "0" for value in values)
        self._whole = int(f"1{flags}", 2)

    def unpack(self) -> dict[str, MetricStats]:
        """Returns the closed statistics as {flat metric: statistics}."""
        flags = f"{self._whole:b}"[1:]
        values = [
            int(value) if flag == "1" else value
            for value, flag in zip(self._numbers, flags, strict=True)
        ]
        size = MetricStats.NUMBERS
        return {
            name: MetricStats.of_numbers(values[position * size : (position + 1) * size])
            for position, name in enumerate(self.names)
        }


def pack_stats(stats: dict[str, MetricStats]) -> dict[str, MetricStats] | PackedStats:
    """Packs statistics, or returns them as they are if an integer would lose digits."""
    numbers = [value for each in stats.values() for value in each.numbers()]
    if any(isinstance(value, int) and int(float(value)) != value for value in numbers):
        return stats
    return PackedStats(stats)


def update_metric_stats(stats: dict[str, MetricStats], flat_result: Mapping[str, Any]) -> None:
    """Adds one result to the statistics of a trial.

    Args:
        stats: {flat metric name: statistics}; changed in place.
        flat_result: A result with nested keys joined by ``/``.
    """
    for key, value in flat_result.items():
        if not isinstance(value, _NUMBERS):
            continue
        # No mean can be taken of an integer that is too large for a float.
        if isinstance(value, int) and not _MIN_FLOAT <= value <= _MAX_FLOAT:
            continue
        known = stats.get(key)
        if known is not None:
            known.add(value)
        elif key not in _SKIPPED and not str(key).startswith(_CONFIG_PATH):
            stats[key] = MetricStats(value)


def metric_stats_of(flat_results: Iterable[Mapping[str, Any]]) -> dict[str, MetricStats]:
    """Returns the statistics over a sequence of flat results."""
    stats: dict[str, MetricStats] = {}
    for flat_result in flat_results:
        update_metric_stats(stats, flat_result)
    return stats
