"""Curve: the values of a metric as a small curve of text."""

from __future__ import annotations

from array import array

_BLOCKS = "▁▂▃▄▅▆▇█"
# Limits the memory for a trial with many iterations.
_MAX_POINTS = 32


class Curve:
    """The values of a metric. If there are many, only each n-th value is kept."""

    __slots__ = ("_latest", "_seen", "_stride", "_values")

    def __init__(self) -> None:
        self._values = array("d")
        self._stride = 1
        self._seen = 0
        self._latest = 0.0

    def add(self, value: float) -> None:
        """Adds the next value, which must be finite."""
        self._latest = value
        self._seen += 1
        if self._seen % self._stride:
            return
        self._values.append(value)
        if len(self._values) == _MAX_POINTS:
            self._values = self._values[1::2]
            self._stride *= 2

    def text(self, width: int) -> str:
        """Returns the curve, scaled to its lowest and its highest value.

        Args:
            width: Largest number of characters, at least 1.

        Returns:
            "" for fewer than two values.
        """
        values = list(self._values)
        if self._seen % self._stride:
            values.append(self._latest)
        if len(values) < 2:
            return ""
        if len(values) > width:
            last = len(values) - 1
            steps = max(width - 1, 1)
            values = [values[round(step * last / steps)] for step in range(width)]
        low, high = min(values), max(values)
        if not high > low:
            return _BLOCKS[3] * len(values)
        # Halved first, since the difference of two finite numbers may be infinite.
        height = high / 2 - low / 2
        top = len(_BLOCKS) - 1
        return "".join(
            _BLOCKS[round((value / 2 - low / 2) / height * top)] if height else _BLOCKS[0]
            for value in values
        )
