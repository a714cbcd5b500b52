"""Ctrl-C once ends a run in good order, twice at once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.runs.lifecycle.programs import (
    DEADLINE_S,
    START_METHODS,
    run_for_json,
    running,
    wait_until,
    wait_until_gone,
)

PROGRAM = ["-m", "tests.runs.lifecycle.interruptible"]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_one_interrupt_ends_the_run_in_good_order_and_it_can_be_taken_up(
    tmp_path: Path, start_method: str
) -> None:
    output = tmp_path / "output"
    with running([*PROGRAM, "start", start_method], tmp_path) as program:
        wait_until((tmp_path / "ready").exists, output.read_text())
        # As a terminal does: to all processes of the group.
        os.killpg(program.pid, signal.SIGINT)
        wait_until(lambda: "Interrupted" in output.read_text(), "the interrupt is noted")
        (tmp_path / "go on").touch()
        assert program.wait(DEADLINE_S) == 0, output.read_text()
    text = output.read_text()
    assert "Traceback" not in text
    assert "Interrupted after" in text
    assert "Tuner.restore(" in text
    # Both are kept as they are: one runs, one waits.
    assert json.loads(text.splitlines()[-1]) == [2, 0, 0]
    results = run_for_json([*PROGRAM, "take up", start_method], tmp_path)
    assert results == [[6, True], [6, True]]
    rows = [path.read_text().splitlines() for path in tmp_path.glob("run/*/result.json")]
    assert [len(each) for each in rows] == [6, 6]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_second_interrupt_ends_the_run_at_once(tmp_path: Path, start_method: str) -> None:
    output = tmp_path / "output"
    with running([*PROGRAM, "start", start_method], tmp_path) as program:
        wait_until((tmp_path / "ready").exists, output.read_text())
        started = {child.pid for child in psutil.Process(program.pid).children(recursive=True)}
        os.killpg(program.pid, signal.SIGINT)
        wait_until(lambda: "Interrupted" in output.read_text(), "the interrupt is noted")
        os.killpg(program.pid, signal.SIGINT)
        # The step that waits for this test is not waited for.
        assert program.wait(DEADLINE_S) != 0
        wait_until_gone(started, deadline_s=2.0)
    assert "KeyboardInterrupt" in output.read_text()
