"""The cost of a result, in steps of the interpreter, grows linearly with its keys."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import localtune
import localtune as tune
from localtune.trial.metric_analysis import MetricStats, PackedStats, pack_stats
from tests.small_runs import fit

PACKAGE = os.path.dirname(localtune.__file__)


class ReportsMany(tune.Trainable):
    """Reports as many metrics as its config says, in the shape that it says."""

    def step(self) -> dict[str, Any]:
        number = self.iteration
        names = [f"m{key}" for key in range(self.config["count"])]
        shapes: dict[str, dict[Any, Any]] = {
            "flat": {name: float(number) for name in names},
            "nested": {"in": {name: {"deep": number} for name in names}},
            "list": {"all": [float(number)] * len(names)},
            "keys": {"in": dict.fromkeys(range(len(names)), number)},
        }
        return {**shapes[self.config["shape"]], "done": number >= 2}


def steps_of_a_run(path: Path, count: int, shape: str) -> int:
    """How many bytecodes of the package a run executes, worker and parent together."""
    steps = 0

    def count_steps(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        steps += event == "opcode"
        return count_steps

    before = sys.gettrace()
    sys.settrace(count_steps)
    try:
        grid = fit(ReportsMany, path / f"{count}", {"count": count, "shape": shape}, verbose=2)
    finally:
        sys.settrace(before)
    assert not grid.errors
    return steps


@pytest.mark.long
@pytest.mark.parametrize("shape", ["flat", "nested", "list", "keys"])
def test_the_steps_of_a_run_grow_with_the_keys_of_its_results(tmp_path: Path, shape: str) -> None:
    few, some, many = (steps_of_a_run(tmp_path, count, shape) for count in (100, 400, 1600))
    # A part that grew with the square would have grown by sixteen.
    assert many - some < 5 * (some - few) + 20_000


@pytest.mark.parametrize("whole", [True, False])
def test_packed_statistics_of_any_number_come_back(whole: bool) -> None:
    for count in (0, 1, 7, 50_000):
        stats = {str(key): MetricStats(key if whole else key / 2) for key in range(count)}
        packed = pack_stats(stats)
        assert isinstance(packed, PackedStats)
        again = packed.unpack()
        assert list(again) == list(stats)
        for name, each in list(again.items())[-3:]:
            assert each.numbers() == stats[name].numbers()
            assert [type(value) for value in each.numbers()[:3]] == [int if whole else float] * 3


def test_a_result_costs_the_parent_no_more_calls_than_the_benchmark_allows() -> None:
    benchmark = Path(PACKAGE).parent / "scripts" / "bench" / "calls_per_result.py"
    done = subprocess.run(
        [sys.executable, os.fspath(benchmark), "--iterations", "60", "--list", "1"],
        env={**os.environ, "PYTHONPATH": os.path.dirname(PACKAGE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PASS" in done.stdout, done.stdout
