"""Finds the best of several candidates by one number each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeGuard, TypeVar

T = TypeVar("T")


def is_number(value: Any) -> TypeGuard[float]:
    """Tells whether a value is an int or a float other than NaN. Infinities count as numbers."""
    return isinstance(value, (int, float)) and value == value


def best_of(candidates: Iterable[tuple[T, float]], mode: str) -> T | None:
    """Returns the candidate with the best number; the first one of equals.

    Args:
        candidates: Pairs (candidate, number). NaN counts as the worst number.
        mode: ``"min"`` or ``"max"``.

    Returns:
        The candidate; None if ``candidates`` is empty.

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
