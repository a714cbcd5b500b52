from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from localtune.stopper import ExperimentPlateauStopper, Stopper
from localtune.testing.stopper_contract import StopperContract


def run(stopper: ExperimentPlateauStopper, values: Sequence[float]) -> list[bool]:
    """Answers to one result each, of trials in turn; ``stop_all`` always says the same."""
    answers = []
    for number, value in enumerate(values):
        answers.append(stopper(f"t{number % 3}", {"loss": value}))
        assert stopper.stop_all() is answers[-1]
    return answers


def test_the_run_stops_when_the_best_values_hardly_differ() -> None:
    stopper = ExperimentPlateauStopper("loss", std=0.01, top=3)

    assert run(stopper, [9, 1, 1, 8, 1]) == [False, False, False, False, True]


def test_the_best_are_the_smallest_or_the_largest() -> None:
    values = [1, 1, 5, 5]

    assert run(ExperimentPlateauStopper("loss", top=2, mode="min"), values) == [
        False,
        True,
        True,
        True,
    ]
    assert run(ExperimentPlateauStopper("loss", top=2, mode="max"), values) == [
        False,
        True,
        False,
        True,
    ]


def test_a_deviation_equal_to_the_bound_is_a_plateau() -> None:
    # The standard deviation of 0 and 2 is 1.
    assert run(ExperimentPlateauStopper("loss", std=1.0, top=2), [0, 2]) == [False, True]


def test_a_plateau_must_last_for_the_patience() -> None:
    stopper = ExperimentPlateauStopper("loss", top=2, patience=3)

    assert run(stopper, [1, 1, 1, 1, 1]) == [False, False, False, True, True]


def test_a_better_value_starts_patience_anew() -> None:
    stopper = ExperimentPlateauStopper("loss", top=2, patience=2)

    assert run(stopper, [1, 1, 0, 0, 0]) == [False, False, False, False, True]


def test_results_without_the_metric_and_nan_are_no_values() -> None:
    stopper = ExperimentPlateauStopper("a/loss", top=2)

    assert not stopper("t", {"a": {"loss": 1}})
    assert not stopper("t", {"other": 1})
    assert not stopper("t", {"a": {"loss": math.nan}})
    assert stopper("t", {"a": {"loss": 1}})


def test_a_missing_metric_is_warned_of_once() -> None:
    stopper = ExperimentPlateauStopper("los")

    assert len(stopper.missing_key_warnings({"loss": 1})) == 1
    assert stopper.missing_key_warnings({"loss": 1}) == []


def test_a_pickled_stopper_goes_on() -> None:
    stopper = ExperimentPlateauStopper("loss", top=2)
    run(stopper, [1])

    assert run(pickle.loads(pickle.dumps(stopper)), [1]) == [True]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mode": "up"}, "mode must be 'min' or 'max'"),
        ({"mode": None}, "mode must be 'min' or 'max'"),
        ({"top": 1}, "top must be a whole number, at least 2"),
        ({"top": 2.5}, "top must be a whole number"),
        ({"top": "3"}, "top must be a whole number"),
        ({"patience": -1}, "patience must be a whole number, at least 0"),
        ({"patience": 1.5}, "patience must be a whole number"),
        ({"std": 0}, "std must be a number above 0"),
        ({"std": -1.0}, "std must be a number above 0"),
        ({"std": math.nan}, "std must be a number above 0"),
        ({"std": "1"}, "std must be a number above 0"),
    ],
)
def test_arguments_out_of_their_range_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExperimentPlateauStopper("loss", **kwargs)


# -- the suite of all -----------------------------------------------------------------------------


class TestExperimentPlateau(StopperContract):
    watches_all_trials = True

    def make_stopper(self) -> Stopper:
        return ExperimentPlateauStopper("loss", top=4, patience=2)
