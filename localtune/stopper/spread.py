"""How far values lie apart."""

from __future__ import annotations

import math
from collections.abc import Collection


def standard_deviation(values: Collection[float]) -> float:
    """Standard deviation of all values there are (not of a sample); NaN if one of them is."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) * (value - mean) for value in values) / len(values))
