from __future__ import annotations

import math

import pytest

from localtune.utils.best import best_of, is_number


@pytest.mark.parametrize(("mode", "best"), [("min", "b"), ("max", "c")])
def test_the_best_is_the_smallest_or_the_largest(mode: str, best: str) -> None:
    assert best_of([("a", 2), ("b", 1.5), ("c", 3), ("d", 2)], mode) == best


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_first_of_equals_is_the_best(mode: str) -> None:
    assert best_of([("a", 1), ("b", 1.0), ("c", True)], mode) == "a"


def test_nothing_has_no_best() -> None:
    assert best_of([], "max") is None


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("order", [1, -1])
def test_nan_is_worse_than_any_number(mode: str, order: int) -> None:
    assert best_of([("nan", math.nan), ("number", 1.0)][::order], mode) == "number"


@pytest.mark.parametrize(("mode", "best"), [("min", "-inf"), ("max", "inf")])
def test_infinities_are_compared_as_numbers(mode: str, best: str) -> None:
    candidates = [("zero", 0.0), ("inf", math.inf), ("-inf", -math.inf)]

    assert best_of(candidates, mode) == best


def test_nan_is_the_best_where_there_is_nothing_else() -> None:
    assert best_of([("a", math.nan), ("b", math.nan)], "min") == "a"


@pytest.mark.parametrize("value", [0, 1.5, True, -math.inf, 10**400])
def test_numbers_are_recognised(value: float) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [math.nan, "1", None, [1], 1j])
def test_other_values_are_no_numbers(value: object) -> None:
    assert not is_number(value)
