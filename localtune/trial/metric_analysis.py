"""Computes running statistics over the results of one trial."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from struct import unpack_from
from typing import Any, ClassVar, TypeAlias

from localtune.error import LocaltuneInternalError
from localtune.result import CONFIG_PREFIX, DEBUG_METRICS

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")

_WINDOW = 10
_SKIPPED = frozenset(DEBUG_METRICS)
_CONFIG_PATH = CONFIG_PREFIX + "/"
_MAX_FLOAT = sys.float_info.max
_MIN_FLOAT = -_MAX_FLOAT
_NUMBERS = (float, int)

# (names, whole, numbers) of PackedStats
PackedRecord: TypeAlias = "tuple[tuple[str, ...], int, bytes]"


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

    def record(self) -> tuple[Any, ...]:
        """Returns the statistics as plain data."""
        if self.window is None:
            return self.numbers()
        return self.last, self.min, self.max, self.avg, self.count, list(self.window)

    @classmethod
    def of_record(cls, record: tuple[Any, ...]) -> MetricStats:
        """Returns the statistics with this :meth:`record`."""
        if not isinstance(record[-1], list):
            return cls.of_numbers(record)
        stats = cls.__new__(cls)
        stats.last, stats.min, stats.max, stats.avg, stats.count, stats.window = record
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

    All statistics of a metric with one value equal that value: then only the value is stored.

    Args:
        names: Flat names of the metrics.
        whole: One bit per stored number, after a leading 1, tells whether it is an int.
        numbers: The numbers: one per metric, or :attr:`MetricStats.NUMBERS`.
    """

    __slots__ = ("_numbers", "_whole", "names")

    # Trials with the same metrics share one tuple of names.
    _known_names: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}

    def __init__(self, names: tuple[str, ...], whole: int, numbers: bytes) -> None:
        self.names = self._known_names.setdefault(names, names)
        self._whole = whole
        self._numbers = numbers

    @classmethod
    def of(cls, stats: Mapping[str, MetricStats]) -> PackedStats | None:
        """Packs {flat metric: statistics}; returns None if an integer would lose digits."""
        values: list[float] = [each.last for each in stats.values()]
        if not all(each.window is not None and each.count == 1 for each in stats.values()):
            values = [value for each in stats.values() for value in each.numbers()]
        # Conversion from text takes one pass; setting single bits would copy the integer for each.
        flags = "1"
        for value in values:
            if isinstance(value, int):
                if int(float(value)) != value:
                    return None
                flags += "1"
            else:
                flags += "0"
        return cls(tuple(stats), int(flags, 2), array("d", values).tobytes())

    def unpack(self) -> dict[str, MetricStats]:
        """Returns the closed statistics as {flat metric: statistics}."""
        flags, size = f"{self._whole:b}"[1:], self._size
        return {
            name: self._stats(place, flags[place * size : (place + 1) * size])
            for place, name in enumerate(self.names)
        }

    def __len__(self) -> int:
        return len(self.names)

    def get(self, name: str) -> MetricStats | None:
        """Returns the closed statistics of one metric; None if there are none."""
        if name not in self.names:
            return None
        place, size = self.names.index(name), self._size
        flags = f"{self._whole:b}"[1 + place * size : 1 + (place + 1) * size]
        return self._stats(place, flags)

    @property
    def _size(self) -> int:
        return len(self._numbers) // 8 // max(len(self.names), 1)

    def _stats(self, place: int, flags: str) -> MetricStats:
        stored = unpack_from(f"{len(flags)}d", self._numbers, place * len(flags) * 8)
        values = [
            int(value) if flag == "1" else value for value, flag in zip(stored, flags, strict=True)
        ]
        if len(values) == 1:
            # Means over windows are floats also if all values are whole.
            values = [*(values * (MetricStats.NUMBERS - 2)), *(stored * 2)]
        return MetricStats.of_numbers(values)

    def record(self) -> PackedRecord:
        """Returns the statistics as plain data: the arguments of the class."""
        return self.names, self._whole, self._numbers


def pack_stats(stats: dict[str, MetricStats]) -> dict[str, MetricStats] | PackedStats:
    """Packs statistics, or returns them as they are if an integer would lose digits."""
    packed = PackedStats.of(stats)
    return packed if packed is not None else stats


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
        if known is None:
            if key not in _SKIPPED and not str(key).startswith(_CONFIG_PATH):
                stats[key] = MetricStats(value)
            continue
        # Not a method: each result has several numbers, and a call costs as much as all this.
        window = known.window
        if window is None:
            raise LocaltuneInternalError("A trial got a result after its end.")
        known.last = value
        # Every comparison with NaN is false. So a later NaN never becomes an extreme, and the
        # next number replaces a NaN that came first.
        if value < known.min:
            known.min = value
        elif value > known.max:
            known.max = value
        elif known.min != known.min:
            known.min = known.max = value
        count = known.count
        known.avg = (value + count * known.avg) / (count + 1)
        known.count = count + 1
        window.append(value)
        if len(window) > _WINDOW:
            del window[0]


def metric_stats_of(flat_results: Iterable[Mapping[str, Any]]) -> dict[str, MetricStats]:
    """Returns the statistics over a sequence of flat results."""
    stats: dict[str, MetricStats] = {}
    for flat_result in flat_results:
        update_metric_stats(stats, flat_result)
    return stats
