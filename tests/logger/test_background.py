"""The thread that writes to slow stores: in order, whatever fails, and not for ever."""

from __future__ import annotations

import logging
import threading

import pytest

from localtune.logger.background import Background


def test_calls_are_made_in_order_and_failures_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[int] = []

    def call(number: int) -> None:
        made.append(number)
        if number in (1, 3):
            raise OSError(f"no store {number}")

    background = Background("The store")
    for number in range(5):
        background.submit(lambda number=number: call(number))  # type: ignore[misc]

    assert background.close(60)
    assert made == [0, 1, 2, 3, 4]
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2
    assert "no store 1" in told[0]
    assert told[1] == "2 calls of The store failed."


def test_a_store_that_does_not_answer_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = threading.Event()
    background = Background("The store")

    def never() -> None:
        answer.wait()

    background.submit(never)

    assert not background.close(0.01)
    assert "did not accept all results within 0.01 s" in caplog.text
    answer.set()
