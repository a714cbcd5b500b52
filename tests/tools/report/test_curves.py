"""Curves are thinned so that they look the same."""

from __future__ import annotations

import math
from typing import Any

import pytest

from localtune.tools.report.curves import MAX_CURVES, make_curve, points_per_curve, thinned


def test_a_short_curve_stays_whole() -> None:
    assert thinned([1.0, None, 3.0], 3) == [0, 1, 2]
    assert thinned([], 10) == []


@pytest.mark.parametrize("limit", [40, 41, 1000])
def test_a_long_curve_keeps_its_ends_and_extremes(limit: int) -> None:
    values: list[float | None] = [math.sin(place / 50) for place in range(10_000)]
    values[4321], values[8765] = 99.0, -99.0

    places = thinned(values, limit)

    assert len(places) <= limit
    assert places == sorted(places)
    assert {0, 4321, 8765, 9999} <= set(places)


def test_stretches_without_a_value_do_not_matter() -> None:
    assert thinned([None] * 1000, 40) == [0, 999]


def test_what_is_no_finite_number_is_a_gap() -> None:
    results: list[dict[str, Any]] = [
        {"training_iteration": 1, "time_total_s": 0.5, "loss": 1 / 3, "deep": {"acc": 1}},
        {"training_iteration": 2, "time_total_s": 1.0, "loss": float("nan"), "flat/acc": 3},
        {"training_iteration": 3, "time_total_s": 1.5, "loss": "high"},
    ]

    curve = make_curve(7, results, ["loss", "deep/acc", "flat/acc"], 100)

    assert curve.iterations == [1, 2, 3]
    assert curve.values == {
        "loss": [0.333333, None, None],
        "deep/acc": [1, None, None],
        "flat/acc": [None, 3, None],
    }
    assert curve.result_count == 3


def test_a_thousand_curves_of_fifty_results_are_drawn_in_full() -> None:
    assert points_per_curve(MAX_CURVES) >= 50
    assert points_per_curve(0) >= 50
