"""A search algorithm in a thread: never waited for, asked and told in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from localtune.controller.background_search import BackgroundSearch
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.sample import uniform
from localtune.search.suggestion import Suggestion


class Gated(BasicVariantGenerator):
    """Thinks until it is released; notes the calls, their arguments and their threads."""

    learns = True

    def __init__(self) -> None:
        super().__init__(random_state=1)
        self.gate = threading.Semaphore(0)
        self.calls: list[Any] = []
        self.threads: set[int] = set()
        self.error: Exception | None = None

    def next_suggestion(self) -> Suggestion | None:
        self.gate.acquire()
        self.threads.add(threading.get_ident())
        self.calls.append("suggest")
        if self.error is not None:
            raise self.error
        return super().next_suggestion()

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.threads.add(threading.get_ident())
        self.calls.append((trial_id, dict(result)))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        self.calls.append((trial_id, result, error))
        super().on_trial_complete(trial_id, result, error)


def made(num_samples: int = 2) -> Gated:
    inner = Gated()
    inner.setup({"x": uniform(0, 1)}, num_samples)
    return inner


@pytest.fixture
def inner() -> Gated:
    return made()


@pytest.fixture
def woken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def search(inner: Gated, woken: threading.Event) -> Iterator[BackgroundSearch]:
    search = BackgroundSearch(inner, woken.set)
    yield search
    for _ in range(100):
        inner.gate.release()
    search.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.001)


def next_of(search: BackgroundSearch, inner: Gated) -> Suggestion:
    inner.gate.release()
    found: list[Suggestion] = []

    def has_come() -> bool:
        suggestion = search.next_suggestion()
        found.extend([suggestion] if suggestion is not None else [])
        return bool(found)

    until(has_come)
    return found[0]


def test_the_caller_does_not_wait_and_is_woken(
    search: BackgroundSearch, inner: Gated, woken: threading.Event
) -> None:
    assert search.next_suggestion() is None
    assert search.is_thinking and not search.is_finished()
    inner.gate.release()
    assert woken.wait(30)
    suggestion = search.next_suggestion()
    assert suggestion is not None and not search.is_thinking
    assert inner.threads and threading.get_ident() not in inner.threads


def test_results_reach_the_algorithm_in_order_and_after_its_suggestion(
    search: BackgroundSearch, inner: Gated
) -> None:
    search.next_suggestion()
    search.on_trial_result("a", {"loss": 1})
    search.on_trial_complete("a", {"loss": 2})
    assert inner.calls == []
    inner.gate.release()
    until(lambda: len(inner.calls) == 3)
    assert inner.calls == ["suggest", ("a", {"loss": 1}), ("a", {"loss": 2}, False)]


def test_it_is_finished_when_the_last_suggestion_is_taken(
    search: BackgroundSearch, inner: Gated
) -> None:
    next_of(search, inner)
    assert not search.is_finished()
    next_of(search, inner)
    assert search.is_finished() and search.next_suggestion() is None


def test_nothing_to_suggest_is_said_once_before_it_is_asked_again(
    inner: Gated, search: BackgroundSearch
) -> None:
    inner._max_concurrent = 1
    next_of(search, inner)
    assert search.next_suggestion() is None and search.is_thinking
    inner.gate.release()
    until(lambda: not search.is_thinking)
    assert search.next_suggestion() is None
    assert not search.is_thinking, "no suggestion was requested since"
    assert search.next_suggestion() is None and search.is_thinking


def test_an_error_is_raised_where_the_caller_can_see_it(
    inner: Gated, search: BackgroundSearch, woken: threading.Event
) -> None:
    inner.error = ValueError("no model")
    search.next_suggestion()
    inner.gate.release()
    assert woken.wait(30)
    with pytest.raises(ValueError, match="no model"):
        search.next_suggestion()
    assert not search.is_finished()


def test_the_state_holds_waiting_results_and_a_waiting_suggestion(
    inner: Gated, search: BackgroundSearch, woken: threading.Event
) -> None:
    first = next_of(search, inner)
    search.next_suggestion()
    inner.gate.release()
    until(lambda: not search.is_thinking)
    search.on_trial_complete(first.trial_id, {"loss": 1})
    state = search.get_state()

    other = made()
    resumed = BackgroundSearch(other, woken.set)
    resumed.set_state(state)
    until(lambda: other.calls == [(first.trial_id, {"loss": 1}, False)])
    second = resumed.next_suggestion()
    expected = search.next_suggestion()
    assert second is not None and expected is not None
    assert second.config == expected.config != first.config
    assert resumed.is_finished()
    resumed.close()


def test_a_search_that_does_not_come_back_does_not_hold_up_the_end(
    inner: Gated, woken: threading.Event, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localtune.controller.background_search._CLOSE_TIMEOUT_S", 0.01)
    search = BackgroundSearch(inner, woken.set)
    search.next_suggestion()
    thread = search._thread
    search.close()
    assert "has not come back" in caplog.text and thread is not None
    inner.gate.release()
    thread.join(30)
