"""One wait on many sources, by both mechanisms."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import pytest

from localtune.execution.process.waiter import Waiter

DEADLINE_S = 60.0


@pytest.fixture(params=[True, False], ids=["poll", "wait"])
def waiter(request: pytest.FixtureRequest) -> Iterator[Waiter]:
    made = Waiter(use_poll=request.param)
    yield made
    made.close()


def test_a_wake_from_another_thread_ends_a_wait(waiter: Waiter) -> None:
    thread = threading.Thread(target=waiter.wake)
    thread.start()
    waiter.wait(None)
    thread.join()


def test_many_wakes_end_one_wait(waiter: Waiter) -> None:
    for _ in range(100_000):
        waiter.wake()
    waiter.wait(None)
    called: list[int] = []
    first, second = Pipe()
    waiter.register(first, lambda: called.append(first.recv()))
    second.send(1)
    waiter.wait(None)
    assert called == [1]
    waiter.unregister(first)
    first.close()
    second.close()


def test_a_wait_that_nothing_ends_comes_back(waiter: Waiter) -> None:
    waiter.wait(0.0)
    waiter.wait(0.001)


def test_a_source_that_another_handler_has_taken_away_is_not_handled(waiter: Waiter) -> None:
    pipes = [Pipe(), Pipe()]
    called: list[int] = []

    def handle(number: int) -> None:
        called.append(number)
        for ours, _ in pipes:
            waiter.unregister(ours)

    for number, (ours, theirs) in enumerate(pipes):
        waiter.register(ours, functools.partial(handle, number))
        theirs.send(number)
    waiter.wait(DEADLINE_S)
    assert len(called) == 1
    for end in (end for pipe in pipes for end in pipe):
        end.close()
