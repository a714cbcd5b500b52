"""Whether two results say the same."""

from __future__ import annotations

import math

import pytest

from localtune.tools.check.compare import difference_text, differing, has_comparable, metrics_of


def test_metrics_are_what_user_code_reported() -> None:
    result = {"loss": 1, "eval": {"acc": 2}, "pid": 3, "training_iteration": 4, "done": True}

    assert metrics_of(result) == {"loss": 1, "eval/acc": 2}


@pytest.mark.parametrize("value", [1.0, math.nan, "text", [1.0, math.nan], None])
def test_equal_values_do_not_differ(value: object) -> None:
    assert differing({"a": value}, {"a": value}) == []


def test_the_last_digits_do_not_count() -> None:
    assert differing({"a": 1.0}, {"a": 1.0 + 1e-9}) == []
    assert differing({"a": 1.0}, {"a": 1.001}) == ["a"]


@pytest.mark.parametrize("name", ["epoch_time", "time_s", "wall_ms", "train/seconds", "memory_mb"])
def test_what_is_measured_does_not_count(name: str) -> None:
    assert differing({name: 1}, {name: 2}) == []
    assert not has_comparable({name: 1})


@pytest.mark.parametrize("name", ["loss", "items", "sentiment", "estimate"])
def test_names_that_only_look_like_times_count(name: str) -> None:
    assert differing({name: 1}, {name: 2}) == [name]


def test_a_missing_metric_differs_and_is_told() -> None:
    names = differing({"a": 1}, {"b": 2})

    assert names == ["a", "b"]
    text = difference_text(names, {"a": 1}, {"b": 2}, "here", "there")
    assert text == "a is 1 here and missing there; b is missing here and 2 there"
