from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from localtune.progress_reporter.values import (
    as_number,
    comparable_metric_of,
    iterations_of,
    lookup,
    metric_of,
    own_metrics,
    parameters_of,
    parameters_text,
    trained_s_of,
    trial_label,
)
from tests.progress_reporter.runs import make_trial


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        (0.5, 0.5),
        (True, 1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2.5), 2.5),
        ("1", None),
        (None, None),
        ([1], None),
        (np.array([1.0, 2.0]), None),
    ],
)
def test_numbers_of_any_library_are_numbers(value: object, number: float | None) -> None:
    assert as_number(value) == number


def test_a_trial_is_called_by_its_id_or_by_the_name_that_the_user_gave() -> None:
    assert trial_label(make_trial(3)) == "t00003"
    assert trial_label(make_trial(3, name="big\nmodel")) == r"big\nmodel"


def test_nested_values_are_found_by_their_flat_name() -> None:
    values = {"val": {"loss": 1, "top": [5, 6]}, "a/b": 2, "loss": 3}

    assert [lookup(values, name) for name in ("val/loss", "val/top/1", "a/b", "loss")] == [
        1,
        6,
        2,
        3,
    ]
    assert [lookup(values, name) for name in ("val/x", "loss/x", "val/top/9", "no")] == [None] * 4


def test_a_metric_that_is_nan_or_infinite_is_shown_and_not_compared() -> None:
    trial = make_trial()
    for value in (math.nan, math.inf, -math.inf):
        trial.last_result = {"loss": value}
        assert str(metric_of(trial, "loss")) == str(value)
        assert comparable_metric_of(trial, "loss") is None


def test_own_metrics_are_the_numbers_that_were_not_filled_in() -> None:
    result = {
        "loss": 1,
        "val": {"f1": 0.5, "note": "x"},
        "training_iteration": 3,
        "time_total_s": 4,
        "config": {"lr": 1},
        "trial_id": "x",
        "done": True,
    }

    assert own_metrics(result) == {"loss": 1, "val/f1": 0.5}


def test_results_with_keys_that_cannot_be_joined_are_no_error() -> None:
    result: dict[Any, Any] = {"loss": 1, 5: {"a": 2}}
    assert own_metrics(result) == {"loss": 1}


def test_parameters_are_shown_as_they_are_now() -> None:
    trial = make_trial(
        params={"lr": 0.1, "model/depth": 2, "gone": 7},
        config={"lr": 0.3, "model": {"depth": 4}, "fixed": 1},
    )

    assert parameters_of(trial) == {"lr": 0.3, "model/depth": 4, "gone": 7}


def test_without_searched_parameters_the_whole_configuration_is_shown() -> None:
    trial = make_trial(params={}, config={"lr": 0.3, "model": {"depth": 4}})

    assert parameters_of(trial) == {"lr": 0.3, "model/depth": 4}


def test_parameters_on_one_line_are_few_and_short() -> None:
    trial = make_trial(params={"text": "x" * 50, **{f"p{i}": i for i in range(9)}})

    assert parameters_text(trial) == f"text={'x' * 19}… p0=0 p1=1 p2=2 p3=3 p4=4 (+4 more)"


def test_a_trial_without_results_has_no_iterations_and_its_own_time() -> None:
    trial = make_trial()
    trial.run_time_s = 4.5

    assert iterations_of(trial) is None
    assert trained_s_of(trial) == 4.5


def test_the_latest_result_gives_iterations_and_time() -> None:
    trial = make_trial()
    trial.last_result = {"training_iteration": 3, "time_total_s": 9.0}

    assert iterations_of(trial) == 3
    assert trained_s_of(trial) == 9.0
