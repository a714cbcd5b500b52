from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from localtune.stopper import Stopper, TrialPlateauStopper
from localtune.testing.stopper_contract import StopperContract


def run(stopper: TrialPlateauStopper, values: list[float], trial_id: str = "t") -> list[bool]:
    return [stopper(trial_id, {"loss": value}) for value in values]


def test_a_trial_stops_when_its_latest_values_hardly_differ() -> None:
    stopper = TrialPlateauStopper("loss", std=0.1, num_results=3, grace_period=3)

    assert run(stopper, [5, 1, 1, 1]) == [False, False, False, True]
    assert not stopper.stop_all()


def test_the_deviation_must_be_below_the_bound() -> None:
    # The standard deviation of 0 and 2 is 1.
    assert run(TrialPlateauStopper("loss", 1.0, 2, 0), [0, 2]) == [False, False]
    assert run(TrialPlateauStopper("loss", 1.001, 2, 0), [0, 2]) == [False, True]


def test_a_trial_has_its_grace_period() -> None:
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=4)

    assert run(stopper, [1] * 5) == [False, False, False, True, True]


def test_there_must_be_enough_values() -> None:
    stopper = TrialPlateauStopper("loss", num_results=4, grace_period=0)

    assert run(stopper, [1] * 4) == [False, False, False, True]


def test_the_defaults_need_four_values() -> None:
    assert run(TrialPlateauStopper("loss"), [1] * 4) == [False, False, False, True]


@pytest.mark.parametrize(
    ("mode", "value", "stops"),
    [
        ("max", 0.8, True),
        ("max", 0.5, True),
        ("max", 0.4, False),
        ("min", 0.4, True),
        ("min", 0.5, True),
        ("min", 0.8, False),
    ],
)
def test_only_trials_on_the_right_side_of_the_threshold_stop(
    mode: str, value: float, stops: bool
) -> None:
    stopper = TrialPlateauStopper(
        "loss", num_results=2, grace_period=2, metric_threshold=0.5, mode=mode
    )

    assert run(stopper, [value, value])[-1] is stops


def test_trials_are_looked_at_apart() -> None:
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=2)

    assert run(stopper, [1], "a") == [False]
    assert run(stopper, [1], "b") == [False]
    assert run(stopper, [1], "a") == [True]


def test_results_without_the_metric_are_left_out() -> None:
    stopper = TrialPlateauStopper("val/loss", num_results=2, grace_period=2)

    assert not stopper("t", {"val": {"loss": 1}})
    assert not stopper("t", {"other": 1})
    assert stopper("t", {"val": {"loss": 1}})


def test_a_missing_metric_is_warned_of_once() -> None:
    stopper = TrialPlateauStopper("los")

    (text,) = stopper.missing_key_warnings({"loss": 1})
    assert text.startswith("TrialPlateauStopper looks for 'los'")
    assert "Did you mean 'loss'?" in text
    assert stopper.missing_key_warnings({"loss": 1}) == []


def test_nan_is_no_plateau() -> None:
    assert not any(run(TrialPlateauStopper("loss"), [math.nan] * 8))


def test_a_pickled_stopper_goes_on() -> None:
    stopper = TrialPlateauStopper("loss", num_results=2, grace_period=2)
    run(stopper, [1])

    assert run(pickle.loads(pickle.dumps(stopper)), [1]) == [True]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"metric_threshold": 0.5}, "mode must be 'min' or 'max'.*but got None"),
        ({"metric_threshold": 0.5, "mode": "up"}, "mode must be 'min' or 'max'.*but got 'up'"),
        ({"mode": "up"}, "mode must be 'min' or 'max'"),
        ({"num_results": 0}, "num_results must be a whole number, at least 1"),
        ({"num_results": 1.5}, "num_results must be a whole number"),
    ],
)
def test_arguments_out_of_their_range_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrialPlateauStopper("loss", **kwargs)


# -- the suite of all -----------------------------------------------------------------------------


class TestTrialPlateau(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialPlateauStopper("nested/loss", num_results=3)


class TestTrialPlateauWithThreshold(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialPlateauStopper("loss", std=0.5, metric_threshold=2.0, mode="min")
