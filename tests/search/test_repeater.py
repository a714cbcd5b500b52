from __future__ import annotations

import logging
import math
import pickle
from typing import Any

import pytest

from localtune.search.base import Searcher
from localtune.search.concurrency_limiter import ConcurrencyLimiter
from localtune.search.optuna import OptunaSearch
from localtune.search.repeater import TRIAL_INDEX, Repeater
from localtune.testing.searcher_contract import SearcherContract


class Counting(Searcher):
    def __init__(self, metric: Any = "loss", mode: Any = "min") -> None:
        super().__init__(metric, mode)
        self.count = 0
        self.told: list[tuple[str, Any, bool]] = []

    def suggest(self, trial_id: str) -> Any:
        self.count += 1
        return {"x": [self.count]} if self.count < 3 else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        raise AssertionError("results of single trials say too little")

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append((trial_id, result, error))


@pytest.mark.parametrize("repeat", [0, -1, 1.5, True, None])
def test_an_invalid_number_is_refused(repeat: Any) -> None:
    with pytest.raises(ValueError, match="repeat"):
        Repeater(Counting(), repeat)


def test_each_suggestion_is_used_several_times_in_a_row() -> None:
    repeater = Repeater(Counting(), 2)

    assert [repeater.suggest(each) for each in "abcde"] == [
        {"x": [1], TRIAL_INDEX: 0},
        {"x": [1], TRIAL_INDEX: 1},
        {"x": [2], TRIAL_INDEX: 0},
        {"x": [2], TRIAL_INDEX: 1},
        Searcher.FINISHED,
    ]


def test_repetitions_share_no_containers() -> None:
    repeater = Repeater(Counting(), 2, set_index=False)
    first: Any = repeater.suggest("a")
    first["x"].append(9)

    assert repeater.suggest("b") == {"x": [1]}


def test_the_searcher_hears_the_mean_when_all_have_ended() -> None:
    inner = Counting()
    repeater = Repeater(inner, 3)
    for trial_id in "abc":
        repeater.suggest(trial_id)
    repeater.on_trial_result("a", {"loss": 100.0})
    repeater.on_trial_complete("c", {"loss": 3.0})
    repeater.on_trial_complete("c", {"loss": 9.0})
    repeater.on_trial_complete("stranger", {"loss": 9.0})
    repeater.on_trial_complete("a", {"loss": 1.0})
    assert inner.told == []
    repeater.on_trial_complete("b", {"loss": 5.0})

    assert inner.told == [("a", {"loss": 3.0}, False)]


def test_trials_without_a_value_are_left_out_of_the_mean() -> None:
    inner = Counting()
    repeater = Repeater(inner, 4)
    for trial_id in "abcd":
        repeater.suggest(trial_id)
    repeater.on_trial_complete("a", {"loss": 1.0})
    repeater.on_trial_complete("b", {"loss": math.nan})
    repeater.on_trial_complete("c", error=True)
    repeater.on_trial_complete("d", {"other": 1.0})

    assert inner.told == [("a", {"loss": 1.0}, False)]


def test_a_group_of_trials_without_values_has_the_mean_nan() -> None:
    inner = Counting()
    repeater = Repeater(inner, 2)
    for trial_id in "abcd":
        repeater.suggest(trial_id)
    repeater.on_trial_complete("a", error=True)
    repeater.on_trial_complete("b", error=True)
    repeater.on_trial_complete("c")
    repeater.on_trial_complete("d", error=True)

    assert inner.told[0] == ("a", None, True)
    trial_id, result, error = inner.told[1]
    assert (trial_id, error) == ("c", False)
    assert math.isnan(result["loss"])


def test_each_of_several_metrics_has_its_mean() -> None:
    inner = Counting(["a", "b"], ["min", "max"])
    repeater = Repeater(inner, 2)
    repeater.suggest("1")
    repeater.suggest("2")
    repeater.on_trial_complete("1", {"a": 1, "b": 10})
    repeater.on_trial_complete("2", {"a": 3, "b": 20})

    assert inner.told == [("1", {"a": 2, "b": 15}, False)]


def test_a_number_of_samples_that_is_no_multiple_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    repeater = Repeater(Counting(), 3)
    with caplog.at_level(logging.WARNING):
        repeater.set_search_properties(None, None, {}, num_samples=9)
        assert not caplog.records
        repeater.set_search_properties(None, None, {}, num_samples=10)

    assert "last 1 trials" in caplog.text


def test_groups_outlive_a_restart() -> None:
    first, second = (Repeater(ConcurrencyLimiter(Counting(), 1), 2) for _ in range(2))
    first.suggest("a")
    second.set_state(pickle.loads(pickle.dumps(first.get_state())))
    assert second.suggest("b") == {"x": [1], TRIAL_INDEX: 1}
    assert second.suggest("c") is None
    second.on_trial_complete("a", {"loss": 1.0})
    second.on_trial_complete("b", {"loss": 2.0})

    assert second.suggest("c") == {"x": [2], TRIAL_INDEX: 0}


# -- the suite of all -----------------------------------------------------------------------------


class TestRepeater(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return Repeater(OptunaSearch(**arguments), repeat=1, set_index=False)
