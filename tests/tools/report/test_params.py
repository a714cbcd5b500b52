"""Which parameters vary, and how they are drawn."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest

from localtune.tools.report.params import Parameter, varying_parameters
from localtune.trial.trial import Trial


def parameters(*configs: dict[Any, Any]) -> list[Parameter]:
    trials = [
        Trial("train", trial_id=str(number), config=config) for number, config in enumerate(configs)
    ]
    return varying_parameters(trials)


def test_only_what_differs_is_a_parameter() -> None:
    found = parameters(
        {"lr": 0.1, "same": [1, 2], "model": {"width": 8}},
        {"lr": 0.1, "same": [1, 2], "model": {"width": 16}},
    )

    assert found == [Parameter("model/width", [8.0, 16.0], True)]
    assert parameters({"lr": 0.1}) == []
    assert parameters() == []


def test_numbers_of_numpy_are_numbers_and_bools_are_not() -> None:
    first, second = parameters(
        {"a": numpy.float32(0.5), "b": True}, {"a": numpy.int64(2), "b": False}
    )

    assert first == Parameter("a", [0.5, 2.0], True)
    assert second == Parameter("b", ["True", "False"], False)


def test_numbers_beside_texts_are_categories() -> None:
    assert parameters({"a": 1}, {"a": "auto"}, {"a": None}) == [
        Parameter("a", ["1", "auto", "None"], False)
    ]


def test_a_number_that_a_trial_lacks_is_none() -> None:
    assert parameters({"a": 1}, {}, {"a": 2}) == [Parameter("a", [1.0, None, 2.0], True)]


def test_keys_that_cannot_be_joined_do_no_harm() -> None:
    assert [each.name for each in parameters({1: {"x": 1}}, {1: {"x": 2}})] == ["1"]


@pytest.mark.parametrize(
    ("draw", "is_log"),
    [
        (lambda rng: 10 ** rng.uniform(-4, -1), True),
        (lambda rng: rng.choice([0.001, 0.01, 0.1]), True),
        (lambda rng: rng.uniform(0, 1), False),
        (lambda rng: rng.randint(1, 100), False),
        (lambda rng: rng.uniform(-1, 1), False),
    ],
)
def test_a_log_axis_is_for_what_was_drawn_over_decades(draw: Any, is_log: bool) -> None:
    rng = random.Random(1)

    (found,) = parameters(*({"x": draw(rng)} for _ in range(100)))

    assert found.is_log is is_log
