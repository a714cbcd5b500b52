"""A run that was killed and taken up again decides as an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from tests.heavy import IS_HEAVY, long_but
from tests.runs.durability.program import SCHEDULERS
from tests.runs.durability.test_crash_points import ROOT, wait_until_gone

# Many runs one after the other, on machines that may be busy.
pytestmark = pytest.mark.timeout(600)


def run(path: Path, scheduler: str, crash_at: int = 0) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEDULER": scheduler}
    environment |= {"CRASH_AT": f"parent:{crash_at}", "ITERATIONS": "9", "SAMPLES": "6"}
    command = [sys.executable, "-m", "tests.runs.durability.program", str(path)]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def decisions(path: Path) -> list[Any]:
    """How far each trial came, with which config, and what it found."""
    trials = tune.ExperimentAnalysis(str(path / "run")).trials
    return [
        (
            t.status.value,
            t.last_result.get("training_iteration"),
            t.config["x"],
            t.last_result.get("loss"),
        )
        for t in trials
    ]


# Of each family one runs each time.
@pytest.mark.parametrize("scheduler", long_but(["asha", "bohb", "pbt_synch"], sorted(SCHEDULERS)))
def test_decisions_are_the_same(tmp_path: Path, scheduler: str) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert run(plain, scheduler) == 0
    points = int((plain / "points").read_text())
    expected = decisions(plain)
    assert len({each[1:] for each in expected}) > 1

    def killed_at(point: int) -> list[Any]:
        path = tmp_path / str(point)
        path.mkdir()
        assert run(path, scheduler, crash_at=point) != 0
        wait_until_gone(path)
        assert run(path, scheduler) == 0
        return decisions(path)

    # In the middle, and at other points where there is time.
    crash_points = [points * part // 4 for part in ((1, 2, 3) if IS_HEAVY else (2,))]
    with ThreadPoolExecutor(2) as pool:
        for point, found in zip(crash_points, pool.map(killed_at, crash_points), strict=True):
            assert found == expected, f"killed at point {point}"
