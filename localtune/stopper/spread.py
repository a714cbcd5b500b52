"""standard_deviation: the spread of values."""

from __future__ import annotations

import math
from collections.abc import Collection


def standard_deviation(values: Collection[float]) -> float:
    """Returns the population standard deviation of values; NaN if a value is NaN."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) * (value - mean) for value in values) / len(values))
