"""Checks of what a trainable reports."""

from __future__ import annotations

import math
from typing import Any

import pytest

from localtune.tools.check.metrics import check_metrics
from localtune.tools.check.report import Verdict


@pytest.mark.parametrize("value", [1, 0.5, True, "relu"])
def test_numbers_and_texts_are_right(value: Any) -> None:
    (found,) = check_metrics([{"a": value, "nested": {"b": 1}}], None)

    assert found.verdict is Verdict.PASS
    assert found.text == "Reports a, nested/b."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "is nan"),
        (math.inf, "is inf"),
        ([1.0, 2.0], "no single number"),
        (None, "no single number"),
        (object(), "JSON does not know"),
    ],
)
def test_other_values_are_warned_of(value: Any, text: str) -> None:
    (found,) = check_metrics([{"fine": 1}, {"odd": value}], None)

    assert found.verdict is Verdict.WARNING
    assert "'odd'" in found.text and text in found.text


def test_a_result_without_metrics_is_warned_of() -> None:
    (found,) = check_metrics([{"training_iteration": 1, "done": False}], None)

    assert found.verdict is Verdict.WARNING


def test_the_searched_metric_may_be_nested_or_filled_in() -> None:
    result = {"eval": {"loss": 1.0}, "training_iteration": 1}
    for metric in ("eval/loss", "training_iteration"):
        assert list(check_metrics([result], metric))[-1].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([{"loss": 1}], "Did you mean 'loss'?"),
        ([{"los": 1}, {"acc": 1}], "not in result 2"),
        ([{"los": math.nan}], "is nan"),
        ([{"los": [1]}], "no number"),
        ([{"los": "low"}], "no number"),
    ],
)
def test_a_searched_metric_that_cannot_be_searched_is_a_failure(
    results: list[dict[str, Any]], text: str
) -> None:
    found = list(check_metrics(results, "los"))[-1]

    assert found.verdict is Verdict.FAILURE
    assert text in found.text
