"""A run is killed at points of its writing and talking, taken up again, and compared."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from tests.heavy import IS_HEAVY, long_but
from tests.runs.durability.program import ITERATIONS, SAMPLES

ROOT = Path(__file__).parents[3]

# Each seventh point, and each one where there is time.
STEP = 1 if IS_HEAVY else 7

# Many runs one after the other, on machines that may be busy.
pytestmark = pytest.mark.timeout(600)


def start(path: Path, crash_at: str, once: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CRASH_AT": crash_at, "CRASH_ONCE": once}
    command = [sys.executable, "-m", "tests.runs.durability.program", str(path)]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def run(path: Path, crash_at: str = "", once: str = "") -> int:
    """Runs the program, which is killed or ends well; returns its exit code."""
    done = start(path, crash_at, once)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def losses(path: Path) -> list[float]:
    """The final losses, in the order of the trials."""
    grid = tune.ResultGrid(tune.ExperimentAnalysis(str(path / "run")))
    assert [trial.status for trial in grid._experiment_analysis.trials] == ["TERMINATED"] * SAMPLES
    return [(result.metrics or {})["loss"] for result in grid]


def check(path: Path) -> None:
    """Each iteration stands once in all three histories; nothing is left over or damaged."""
    experiment = path / "run"
    with contextlib.closing(sqlite3.connect(experiment / "experiment.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        trials = connection.execute("SELECT trial_id, dirname FROM trials").fetchall()
        rows = connection.execute("SELECT trial_id, result FROM results ORDER BY number").fetchall()
        recorded = connection.execute("SELECT path FROM checkpoints").fetchall()
    assert len(trials) == SAMPLES
    expected = list(range(1, ITERATIONS + 1))
    for trial_id, dirname in trials:
        directory = experiment / dirname
        lines = (directory / "result.json").read_text().splitlines()
        of_json = [json.loads(line) for line in lines]
        assert [each["training_iteration"] for each in of_json] == expected
        header, *lines = (directory / "progress.csv").read_text().splitlines()
        column = header.split(",").index("training_iteration")
        assert [int(line.split(",")[column]) for line in lines] == expected
        of_database = [pickle.loads(blob) for owner, blob in rows if owner == trial_id]
        assert [each["loss"] for each in of_database] == [each["loss"] for each in of_json]
        found = {each.name for each in directory.glob("checkpoint_*")}
        assert found == {os.path.basename(each) for (each,) in recorded if dirname in each}
        assert len(found) == 1
        assert not list(directory.glob(".staging*"))
    known = {dirname for _, dirname in trials}
    assert {each.name for each in experiment.iterdir() if each.is_dir()} == known


def processes_of(path: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(path) in " ".join(process.cmdline()) or str(path) in process.cwd():
                found.append(process)
    return found


def wait_until_gone(path: Path) -> None:
    deadline = time.monotonic() + 30
    while left := processes_of(path):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[float]]:
    """How many points a run passes, and what it finds."""
    path = tmp_path_factory.mktemp("undisturbed")
    assert run(path) == 0
    check(path)
    return int((path / "points").read_text()), losses(path)


def crash_and_resume(path: Path, point: int, expected: list[float]) -> bool:
    """Kills the parent at a point, and takes the run up again; whether it was killed."""
    path.mkdir()
    was_killed = run(path, f"parent:{point}") != 0
    wait_until_gone(path)
    if was_killed:
        assert run(path) == 0
    check(path)
    assert losses(path) == expected
    return was_killed


# In pieces, so that a failure names its region and none takes too long.
@pytest.mark.parametrize("piece", long_but([0], range(4)))
def test_the_parent_is_killed_at_points_of_its_work(
    tmp_path: Path, piece: int, undisturbed: tuple[int, list[float]]
) -> None:
    points, expected = undisturbed
    assert points > 40
    mine = range(1 + piece * STEP, points + 1, 4 * STEP)
    with ThreadPoolExecutor(2) as pool:
        killed: list[Any] = list(
            pool.map(lambda point: crash_and_resume(tmp_path / str(point), point, expected), mine)
        )
    assert all(killed)


def test_a_worker_is_killed_at_points_of_its_work(
    tmp_path: Path, undisturbed: tuple[int, list[float]]
) -> None:
    _, expected = undisturbed

    def crash(point: int) -> bool:
        path = tmp_path / str(point)
        path.mkdir()
        once = tmp_path / f"once-{point}"
        assert run(path, f"worker:{point}", str(once)) == 0
        check(path)
        assert losses(path) == expected
        return once.exists()

    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(crash, range(1, 21, STEP)))
    assert all(killed[: 12 // STEP])


def test_the_disk_of_the_parent_is_full_from_some_point_on(
    tmp_path: Path, undisturbed: tuple[int, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    points, expected = undisturbed
    monkeypatch.setenv("CRASH_HOW", "full")

    def fill(point: int) -> str:
        path = tmp_path / str(point)
        path.mkdir()
        done = start(path, f"parent:{point}")
        wait_until_gone(path)
        assert run(path) == 0
        check(path)
        assert losses(path) == expected
        return done.stderr if done.returncode else ""

    # Any step that is no multiple of what repeats meets each kind of write in time.
    step = 11 if IS_HEAVY else 29
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(fill, range(1, points - 5, step)))
    assert all("Error" in each for each in said)


def test_the_disk_of_a_worker_is_full_from_some_point_on(
    tmp_path: Path, undisturbed: tuple[int, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = undisturbed
    monkeypatch.setenv("CRASH_HOW", "full")
    for point in (3, 6, 9):
        path = tmp_path / str(point)
        path.mkdir()
        once = tmp_path / f"once-{point}"
        assert run(path, f"worker:{point}", str(once)) == 0
        assert once.exists()
        check(path)
        assert losses(path) == expected


def test_files_that_a_power_failure_cut_come_back_from_the_database(
    tmp_path: Path, undisturbed: tuple[int, list[float]]
) -> None:
    points, expected = undisturbed
    path = tmp_path / "power"
    path.mkdir()
    # The first trials have ended, and their files were not on the disk yet.
    assert run(path, f"parent:{points - 5}") != 0
    wait_until_gone(path)
    first, second = sorted(each for each in (path / "run").iterdir() if each.is_dir())
    (first / "result.json").write_text("")
    (first / "progress.csv").write_text("")
    lines = (second / "result.json").read_bytes()
    (second / "result.json").write_bytes(lines[: len(lines) // 2])
    assert run(path) == 0
    check(path)
    assert losses(path) == expected


@pytest.mark.long
def test_killed_again_and_again(tmp_path: Path, undisturbed: tuple[int, list[float]]) -> None:
    points, expected = undisturbed
    path = tmp_path / "again"
    path.mkdir()
    for point in (7, 11, 5, 23, 9, 13, points // 2):
        run(path, f"parent:{point}")
        wait_until_gone(path)
    assert run(path) == 0
    check(path)
    assert losses(path) == expected
