"""Runs in threads, side by side and one after the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.worker.program import WorkerProgram
from tests.leaks import PROCESS_MARK, ProcessWatch, State, end_what_is_kept, leaks_since
from tests.runs.lifecycle.programs import START_METHODS


def train(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"value": config["x"] * step})


def fit(path: Path, start_method: str, x: int) -> Any:
    return tune.Tuner(
        train,
        param_space={"x": x},
        tune_config=tune.TuneConfig(num_samples=3),
        run_config=tune.RunConfig(storage_path=path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=2, start_method=start_method),
    ).fit()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_two_runs_go_side_by_side_in_two_threads(tmp_path: Path, start_method: str) -> None:
    grids: dict[int, Any] = {}

    def run(x: int) -> None:
        grids[x] = fit(tmp_path / str(x), start_method, x)

    threads = [threading.Thread(target=run, args=(x,)) for x in (1, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {
        x: [result.metrics["value"] for result in grid] for x, grid in sorted(grids.items())
    } == {1: [2] * 3, 10: [20] * 3}


@pytest.mark.parametrize("start_method", START_METHODS)
def test_runs_one_after_the_other_leave_nothing_in_the_process(
    tmp_path: Path, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tmp_path / "first", start_method, 1)
    # The watch puts a mark of its own there.
    monkeypatch.setenv(PROCESS_MARK, "")
    watch = ProcessWatch()
    before = State.now(watch)
    for number in range(2):
        assert not fit(tmp_path / str(number), start_method, 1).errors
    end_what_is_kept()
    assert leaks_since(before, watch) == []


def test_an_executor_serves_one_run_after_the_other(tmp_path: Path) -> None:
    executor = tune.ProcessExecutor(num_cpus=1)
    for number in range(2):
        grid = tune.Tuner(
            train,
            param_space={"x": number},
            run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
            executor=executor,
        ).fit()
        metrics = grid[0].metrics
        assert metrics is not None
        assert metrics["value"] == 2 * number


def test_an_executor_refuses_a_second_run_at_the_same_time() -> None:
    executor = tune.ProcessExecutor(num_cpus=1)
    executor.open(WorkerProgram(tune.Trainable))
    try:
        with pytest.raises(RuntimeError, match="give each run its own"):
            executor.open(WorkerProgram(tune.Trainable))
    finally:
        executor.close()
