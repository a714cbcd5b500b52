"""The measure of importance: what it finds, and what it does not claim."""

from __future__ import annotations

import random

import numpy
import pytest

from localtune.tools.report.importance import (
    MIN_TRIALS,
    epsilon_squared,
    importances,
    ranks_of,
)
from localtune.tools.report.params import Parameter


def number(name: str, values: list[float]) -> Parameter:
    return Parameter(name, list(values), True)


def test_an_optimum_in_the_middle_is_found_where_a_correlation_is_blind() -> None:
    rng = random.Random(1)
    useful = [rng.uniform(-1, 1) for _ in range(100)]
    useless = [rng.uniform(-1, 1) for _ in range(100)]
    loss: list[float | None] = [value**2 for value in useful]

    first, second = importances([number("no", useless), number("yes", useful)], loss)

    assert (first.name, second.name) == ("yes", "no")
    assert first.share > 0.6
    assert second.share < 0.1
    assert first.trend is not None and abs(first.trend) < 0.3


def test_categories_count_and_have_no_trend() -> None:
    settings: list[float | str | None] = ["a", "b"] * 10
    loss: list[float | None] = [1.0 if each == "a" else 2.0 for each in settings]

    (found,) = importances([Parameter("act", settings, False)], loss)

    assert found.share == 1
    assert found.trend is None


def test_chance_is_taken_off() -> None:
    rng = random.Random(2)
    shares = []
    for _ in range(200):
        loss: list[float | None] = [rng.random() for _ in range(20)]
        shares.append(importances([number("x", [rng.random() for _ in range(20)])], loss)[0].share)

    # Negative ones are cut off at 0, so their mean is a little above it.
    assert sum(shares) / len(shares) < 0.1


def test_few_trials_or_equal_values_tell_nothing() -> None:
    few: list[float | None] = [float(place) for place in range(MIN_TRIALS - 1)]
    equal: list[float | None] = [1.0] * 50

    assert importances([number("x", list(range(MIN_TRIALS - 1)))], few) == []
    assert importances([number("x", list(range(50)))], equal) == []


def test_trials_without_a_value_are_left_out() -> None:
    loss: list[float | None] = [*map(float, range(20)), None]

    (found,) = importances([number("x", [*range(20), 999])], loss)

    assert found.trend == pytest.approx(1)


def test_epsilon_squared_is_that_of_the_textbook() -> None:
    groups = [[1.0, 3.0, 4.0], [2.0, 6.0, 7.0], [5.0, 8.0, 9.0]]
    # H of Kruskal and Wallis by NumPy; epsilon^2 = (H - k + 1) / (n - k).
    sums = sum(numpy.sum(group) ** 2 / len(group) for group in groups)
    h = 12 / (9 * 10) * sums - 3 * 10

    assert epsilon_squared(groups) == pytest.approx((h - 3 + 1) / (9 - 3))
    assert epsilon_squared([[1.0, 2.0]]) == 0
    assert epsilon_squared([[1.0], [2.0]]) == 0


def test_equal_values_share_a_rank() -> None:
    assert ranks_of([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]
    assert ranks_of([]) == []
