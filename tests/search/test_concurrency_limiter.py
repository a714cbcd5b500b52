from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.search.base import Searcher
from localtune.search.concurrency_limiter import ConcurrencyLimiter
from localtune.search.optuna import OptunaSearch
from localtune.testing.searcher_contract import SearcherContract


class Recording(Searcher):
    def __init__(self, limits_itself: bool = False, until_told: int | None = None) -> None:
        super().__init__(metric="loss", mode="min")
        self.limits_itself = limits_itself
        self.until_told = until_told  # suggests so many, then waits for a result
        self.suggested = 0
        self.results: list[str] = []
        self.told: list[tuple[str, Any, bool]] = []
        self.limit: int | None = None

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        self.limit = max_concurrent
        return self.limits_itself

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.until_told is not None and self.suggested >= self.until_told and not self.told:
            return None
        self.suggested += 1
        return {"x": trial_id}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.results.append(trial_id)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append((trial_id, result, error))


@pytest.mark.parametrize("limit", [0, -1, 1.0, True, None, "2"])
def test_an_invalid_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrent"):
        ConcurrencyLimiter(Recording(), limit)


@pytest.mark.parametrize("searcher", [None, Recording, "optuna"])
def test_a_value_that_is_no_searcher_is_refused(searcher: Any) -> None:
    with pytest.raises(TypeError, match="wraps a Searcher"):
        ConcurrencyLimiter(searcher, 1)


def test_nothing_is_suggested_beyond_the_limit() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, 2)

    assert limiter.suggest("a") and limiter.suggest("b")
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("b", {"loss": 1})
    assert limiter.suggest("c") == {"x": "c"}
    assert inner.told == [("b", {"loss": 1}, False)]


def test_two_suggestions_for_one_trial_are_refused() -> None:
    limiter = ConcurrencyLimiter(Recording(), 3)
    limiter.suggest("a")

    with pytest.raises(ValueError, match="'a'"):
        limiter.suggest("a")


def test_strangers_and_second_ends_do_not_reach_the_searcher() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, 2)
    limiter.suggest("a")
    for trial_id in ("a", "a", "stranger"):
        limiter.on_trial_result(trial_id, {"loss": 1})
        limiter.on_trial_complete(trial_id, {"loss": 1})

    assert inner.results == ["a"]
    assert [trial_id for trial_id, *_ in inner.told] == ["a"]


def test_the_searcher_gets_a_batch_when_all_of_its_trials_have_ended() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, 2, batch=True)
    limiter.suggest("a")
    limiter.suggest("b")
    limiter.on_trial_complete("b", error=True)

    assert inner.told == []
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("a", {"loss": 1})
    assert inner.told == [("b", None, True), ("a", {"loss": 1}, False)]
    assert limiter.suggest("c") == {"x": "c"}


def test_the_searcher_gets_a_batch_that_cannot_be_filled() -> None:
    inner = Recording(until_told=2)
    limiter = ConcurrencyLimiter(inner, 3, batch=True)
    assert limiter.suggest("a") and limiter.suggest("b")
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("a", {"loss": 1})
    assert limiter.suggest("c") is None
    limiter.on_trial_complete("b", {"loss": 1})

    assert limiter.suggest("c") == {"x": "c"}
    assert len(inner.told) == 2


@pytest.mark.parametrize("ends_before", [0, 1, 2])
def test_the_last_batch_may_stay_unfilled(ends_before: int) -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, 3, batch=True)
    for trial_id in ("a", "b"):
        limiter.suggest(trial_id)
    for trial_id in ("a", "b")[:ends_before]:
        limiter.on_trial_complete(trial_id, {"loss": 1})
    assert inner.told == []

    limiter.on_last_suggestion()
    for trial_id in ("a", "b")[ends_before:]:
        limiter.on_trial_complete(trial_id, {"loss": 1})

    assert len(inner.told) == 2


def test_a_searcher_that_limits_itself_is_left_alone() -> None:
    inner = Recording(limits_itself=True)
    limiter = ConcurrencyLimiter(inner, 1)

    assert limiter.suggest("a") and limiter.suggest("b")
    assert inner.limit == 1


def test_the_rest_is_passed_on() -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, 1)
    limiter.set_objective("loss", "min", seed=4)

    assert (limiter.metric, limiter.mode) == ("loss", "min")
    assert inner._run_seed == 4


@given(
    events=st.lists(st.booleans() | st.integers(0, 9), max_size=40),
    limit=st.integers(1, 4),
    batch=st.booleans(),
)
def test_there_are_never_more_alive_than_the_limit(
    events: list[Any], limit: int, batch: bool
) -> None:
    inner = Recording()
    limiter = ConcurrencyLimiter(inner, limit, batch)
    live: list[str] = []
    for number, event in enumerate(events):
        if event is True or not live:
            if limiter.suggest(f"t{number}") is not None:
                live.append(f"t{number}")
        elif event is not False:
            limiter.on_trial_complete(live.pop(event % len(live)), {"loss": 0})
        assert len(live) <= limit
    for trial_id in live:
        limiter.on_trial_complete(trial_id, {"loss": 0})

    assert limiter.suggest("last") is not None
    if not batch:
        assert len(inner.told) == inner.suggested - 1


# -- the suite of all -----------------------------------------------------------------------------


class TestConcurrencyLimiter(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return ConcurrencyLimiter(OptunaSearch(**arguments), max_concurrent=4)


class TestBatches(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return ConcurrencyLimiter(OptunaSearch(**arguments), max_concurrent=4, batch=True)
