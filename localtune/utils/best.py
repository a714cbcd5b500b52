"""The best of many by one number each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeGuard, TypeVar

T = TypeVar("T")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number that can be compared: not NaN, infinite or not."""
    return isinstance(value, (int, float)) and value == value


def best_of(candidates: Iterable[tuple[T, float]], mode: str) -> T | None:
    """The candidate with the best number; of equal ones the first.

    Args:
        candidates: (candidate, its number). NaN counts as the worst.
        mode: ``"min"`` or ``"max"``.

    Returns:
        The candidate; None if there is none.

    Example:
        >>> best_of([("a", 0.3), ("b", float("nan")), ("c", 0.1)], "min")
        'c'
    """
    sign = 1 if mode == "max" else -1
    best: T | None = None
    best_score: float | None = None
    for candidate, number in candidates:
        score = sign * number if number == number else -math.inf
        if best_score is None or score > best_score:
            best, best_score = candidate, score
    return best
