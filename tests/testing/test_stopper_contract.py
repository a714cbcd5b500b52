"""The contract suite for stoppers finds faults."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.stopper import Stopper
from localtune.testing.stopper_contract import StopperContract


class Counts(Stopper):
    """Stops at each fifth result of any trial; its pickle loses the number of results."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.count += 1
        return self.count % 5 == 0

    def __getstate__(self) -> dict[str, Any]:
        return {"count": 0}


class ClaimsToHaveNoState(Counts):
    has_state = False


class Answers(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> Any:
        return result.get("loss")


class Changes(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(result.pop("loss") < 0)


class NeedsItsKey(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(result["loss"] < 0)


class NeedsNumbers(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return int(result.get("loss", 1.0)) < 0


class CountsQuestions(Stopper):
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self.count += 1
        return self.count > 60


class WarnsAgain(Counts):
    def missing_key_warnings(self, result: Any) -> list[str]:
        return ["there is no loss"]


RESTORED = "test_a_restored_stopper_gives_the_same_answers"


@pytest.mark.parametrize(
    ("make", "test", "error"),
    [
        (Counts, RESTORED, AssertionError),
        (ClaimsToHaveNoState, RESTORED, AssertionError),
        (Counts, "test_random_results_and_a_pickle_in_the_middle", AssertionError),
        (Counts, "test_trials_do_not_disturb_each_other", AssertionError),
        (Answers, "test_it_returns_a_bool_and_does_not_change_the_result", AssertionError),
        (Changes, "test_it_returns_a_bool_and_does_not_change_the_result", AssertionError),
        (NeedsItsKey, "test_results_without_the_metric_are_left_out", KeyError),
        (NeedsNumbers, "test_nan_is_a_value_like_others", ValueError),
        (CountsQuestions, "test_repeated_calls_of_stop_all_change_nothing", AssertionError),
        (WarnsAgain, "test_a_missing_key_is_warned_of_once", AssertionError),
    ],
)
def test_it_finds_faults(make: Any, test: str, error: type[Exception]) -> None:
    class Contract(StopperContract):
        def make_stopper(self) -> Stopper:
            stopper: Stopper = make()
            return stopper

    with pytest.raises(error):
        getattr(Contract(), test)()
