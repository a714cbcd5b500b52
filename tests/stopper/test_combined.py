from __future__ import annotations

from typing import Any

import pytest

from localtune.stopper import (
    CombinedStopper,
    DictStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    Stopper,
    TrialPlateauStopper,
    TrialTimeoutStopper,
)
from localtune.stopper.coerce import as_stopper
from localtune.testing.stopper_contract import StopperContract


class All(Stopper):
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self.asked += 1
        return self.answer


def test_any_stopper_stops_a_trial() -> None:
    stopper = CombinedStopper(MaximumIterationStopper(3), DictStopper({"acc": 0.9}))

    assert [stopper("a", {"acc": 0}) for _ in range(3)] == [False, False, True]
    assert stopper("b", {"acc": 1})
    assert not stopper("c", {"acc": 0})


def test_each_stopper_sees_each_result() -> None:
    stopper = CombinedStopper(
        FunctionStopper(lambda trial_id, result: result["acc"] == 1), MaximumIterationStopper(2)
    )

    assert stopper("a", {"acc": 1})
    assert stopper("a", {"acc": 0})


def test_any_stopper_stops_the_run_and_all_are_asked() -> None:
    first, second = All(True), All(False)

    assert CombinedStopper(first, second).stop_all()
    assert (first.asked, second.asked) == (1, 1)
    assert not CombinedStopper(second).stop_all()
    assert not CombinedStopper().stop_all()


def test_warnings_of_all_are_passed_on() -> None:
    stopper = CombinedStopper(DictStopper({"a": 1}), TrialPlateauStopper("b"))

    assert len(stopper.missing_key_warnings({"c": 1})) == 2
    assert stopper.missing_key_warnings({"c": 1}) == []


def test_a_value_that_is_no_stopper_is_refused() -> None:
    with pytest.raises(ValueError, match="must be instances of Stopper"):
        CombinedStopper(MaximumIterationStopper(1), {"a": 1})  # type: ignore[arg-type]


# -- the suite of all -----------------------------------------------------------------------------


def is_low(trial_id: str, result: dict[str, Any]) -> bool:
    return bool(result.get("loss", 10.0) < 2.0)


class TestCombined(StopperContract):
    watches_all_trials = True

    def make_stopper(self) -> Stopper:
        return CombinedStopper(
            MaximumIterationStopper(9),
            TrialPlateauStopper("loss"),
            CombinedStopper(ExperimentPlateauStopper("loss"), TrialTimeoutStopper(10)),
            as_stopper(is_low),
        )


class TestList(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper([MaximumIterationStopper(9), TrialPlateauStopper("loss")])
