from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from localtune.error import TuneError
from localtune.stopper import DictStopper, Stopper
from localtune.stopper.coerce import as_stopper
from localtune.testing.stopper_contract import StopperContract


@pytest.mark.parametrize(
    ("criteria", "result", "stops"),
    [
        ({"it": 3}, {"it": 2}, False),
        ({"it": 3}, {"it": 3}, True),
        ({"it": 3}, {"it": 4}, True),
        ({"loss": 0.1}, {"loss": 0.5}, True),  # at or above, whatever the metric means
        ({"it": 3, "acc": 0.9}, {"it": 1, "acc": 0.95}, True),
        ({"it": 3, "acc": 0.9}, {"it": 1, "acc": 0.5}, False),
        ({"it": 3}, {"other": 5}, False),
        ({"a/b": 1}, {"a": {"b": 1}}, True),
        ({"a/b": 1}, {"a/b": 1}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, True),
        ({"a/b": 1}, {"a": {"c": 1}}, False),
        ({"it": 3}, {"it": float("nan")}, False),
        ({"it": 3}, {"it": 1, "done": True}, False),
        ({"done": True}, {"done": True}, True),
        ({"done": True}, {"done": False}, False),
        ({"acc": np.float32(0.5)}, {"acc": np.float64(0.5)}, True),
        ({}, {"it": 1}, False),
    ],
)
def test_any_metric_at_or_above_its_bound_stops(
    criteria: dict[str, Any], result: dict[str, Any], stops: bool
) -> None:
    assert DictStopper(criteria)("t", result) is stops


def test_it_never_stops_the_run() -> None:
    stopper = DictStopper({"it": 1})
    stopper("t", {"it": 5})

    assert not stopper.stop_all()


def test_criteria_are_flat() -> None:
    assert DictStopper({"a": {"b": 1}, "c": 2}).criteria == {"c": 2, "a/b": 1}


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"it": "3"}, "The bound of 'it' in stop must be a number, but got '3'"),
        ({"it": None}, "must be a number, but got None"),
        ({"a": {"b": [1]}}, r"The bound of 'a/b' in stop must be a number, but got \[1\]"),
        ({3: 1}, "must be names of metrics .*but got 3"),
    ],
)
def test_criteria_that_cannot_be_compared_are_refused(
    criteria: dict[Any, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DictStopper(criteria)


def test_a_key_without_a_value_stops_nothing() -> None:
    assert not DictStopper({"acc": 0, "eval/acc": 0})("t", {"acc": None, "eval": {"acc": None}})


@pytest.mark.parametrize("value", ["high", np.zeros(2)])
def test_a_result_that_cannot_be_compared_ends_in_an_error_that_names_it(value: Any) -> None:
    with pytest.raises(TuneError, match="needs a number for 'acc' to compare with its bound"):
        DictStopper({"acc": 0.5})("t", {"acc": value})


def test_a_missing_key_is_warned_of_once_with_what_was_probably_meant() -> None:
    stopper = DictStopper({"acuracy": 0.9, "it": 3, "val_loss": 1})
    result = {"accuracy": 0.5, "it": 1, "nested": {"val_loss": 2}}

    assert stopper.missing_key_warnings(result) == [
        "stop looks for 'acuracy', but the first result does not have it. "
        "Did you mean 'accuracy'? A result without it stops no trial.",
        "stop looks for 'val_loss', but the first result does not have it. "
        "Did you mean 'nested/val_loss'? A result without it stops no trial.",
    ]
    assert stopper.missing_key_warnings(result) == []


def test_a_key_that_was_there_is_not_warned_of_later() -> None:
    stopper = DictStopper({"a/b": 3})

    assert stopper.missing_key_warnings({"a": {"b": 1}}) == []
    assert stopper.missing_key_warnings({}) == []


def test_nothing_is_offered_where_nothing_is_close() -> None:
    (text,) = DictStopper({"acc": 1}).missing_key_warnings({"x": 1})

    assert "Did you mean" not in text


def test_it_has_a_debug_string_and_can_be_pickled() -> None:
    stopper = pickle.loads(pickle.dumps(DictStopper({"it": 3})))

    assert repr(stopper) == "DictStopper({'it': 3})"
    assert stopper("t", {"it": 3})


@pytest.mark.parametrize("criteria", [{"nested": 1}, {"nested/inner": 1}])
def test_a_group_of_metrics_is_no_value(criteria: dict[str, Any]) -> None:
    stopper = DictStopper(criteria)
    result = {"nested": {"inner": {"loss": 2}}}

    assert stopper("t", result) is False
    assert "the first result does not have it" in stopper.missing_key_warnings(result)[0]


# -- the suite of all -----------------------------------------------------------------------------


class TestDict(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper({"training_iteration": 15, "nested": {"loss": 5.5}})
