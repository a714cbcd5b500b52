"""Learning curves that fit a page: thinned where there are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from localtune.result import TIME_TOTAL_S, TRAINING_ITERATION
from localtune.tools.report.params import as_number
from localtune.utils.dicts import unflattened_lookup

# Limits of a page: more makes it slow, and no screen shows it.
MAX_CURVES = 1000
MAX_POINTS = 60_000
MAX_METRICS = 8
_MIN_POINTS_PER_CURVE = 40
_DIGITS = 6


@dataclass
class Curve:
    """The points of one trial that are drawn.

    Attributes:
        number: Of the trial.
        iterations: ``training_iteration`` of each point.
        times: ``time_total_s`` of each point, in seconds.
        values: {metric: its value at each point}, None where it was not reported.
        result_count: How many results there were before thinning.
    """

    number: int
    iterations: list[float | None] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    result_count: int = 0


def points_per_curve(curves: int) -> int:
    """Returns how many points each of some curves may have."""
    return max(_MIN_POINTS_PER_CURVE, MAX_POINTS // max(curves, 1))


def make_curve(
    number: int, results: Sequence[dict[str, Any]], metrics: Sequence[str], limit: int
) -> Curve:
    """Makes the curve of a trial.

    Args:
        number: Of the trial.
        results: Its history, nested.
        metrics: Flat names; the first one decides which points stay.
        limit: How many points stay at most.
    """
    first = [_number(metrics[0], result) for result in results] if metrics else []
    kept = [results[place] for place in thinned(first, limit)]
    return Curve(
        number,
        [_number(TRAINING_ITERATION, result) for result in kept],
        [_number(TIME_TOTAL_S, result) for result in kept],
        {metric: [_number(metric, result) for result in kept] for metric in metrics},
        len(results),
    )


def thinned(values: Sequence[float | None], limit: int) -> list[int]:
    """Returns the indices of the values to keep, so that a line through them looks the same.

    The first and the last are kept, and the lowest and the highest of each stretch.

    Args:
        values: The values, None where there is none.
        limit: How many indices are kept at most.

    Example:
        >>> thinned([0, 9, 0, 0, 0, -9, 0, 0], 6)
        [0, 1, 2, 4, 5, 7]
    """
    if len(values) <= limit:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    stretches = max(1, (limit - 2) // 2)
    inner = len(values) - 2
    for stretch in range(stretches):
        start = 1 + stretch * inner // stretches
        end = 1 + (stretch + 1) * inner // stretches
        places = [place for place in range(start, end) if values[place] is not None]
        if places:
            kept.add(min(places, key=lambda place: values[place] or 0.0))
            kept.add(max(places, key=lambda place: values[place] or 0.0))
    return sorted(kept)


def _number(metric: str, result: dict[str, Any]) -> float | None:
    value = result.get(metric)
    if value is None:
        value = unflattened_lookup(metric, result, default=None)
    number = as_number(value)
    return None if number is None else float(f"{number:.{_DIGITS}g}")
