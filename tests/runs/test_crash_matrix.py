"""Where user code fails, times how: which error, which state, on every executor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TrialTaskError, WorkerDiedError
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.executor import Executor
from localtune.testing.chaos import (
    EXIT_CODE,
    FAULTS,
    ChaosError,
    ChaosTrainable,
    chaos_function,
    strike,
)
from tests.heavy import IS_HEAVY

EXECUTORS: dict[str, Callable[[], Executor | str]] = {
    "template": lambda: tune.ProcessExecutor(num_cpus=1, start_method="template"),
    "spawn": lambda: tune.ProcessExecutor(num_cpus=1, start_method="spawn"),
    "portable": lambda: tune.ProcessExecutor(num_cpus=1, start_method="portable"),
    "inprocess": lambda: "inprocess",
    "cluster": lambda: ClusterExecutor(LocalEngine([{"CPU": 1}])),
}
# Faults that a parent survives which shares its process with the trials.
SURVIVABLE = ("raise", "sys.exit")
CASES = [
    (executor, fault)
    for executor in EXECUTORS
    for fault in FAULTS
    if executor != "inprocess" or fault in SURVIVABLE
]
# They share most of their code: where there is little time, each gets every third fault.
TAKE_TURNS = ("spawn", "portable", "cluster")
PLACES = ("setup", "step", "save", "report")


def cases(first: int) -> list[tuple[str, str]]:
    """The cases of a test, in which spawn gets the faults from the ``first`` on, by threes."""
    return [
        (executor, fault)
        for executor, fault in CASES
        if IS_HEAVY
        or executor not in TAKE_TURNS
        or (FAULTS.index(fault) - first) % 3 == TAKE_TURNS.index(executor)
    ]


def run(tmp_path: Path, executor: str, config: dict[str, Any], **options: Any) -> tune.ResultGrid:
    failure_config = tune.FailureConfig(max_failures=options.pop("max_failures", 0))
    checkpoint_config = tune.CheckpointConfig(
        checkpoint_frequency=options.pop("checkpoint_frequency", 0), checkpoint_at_end=False
    )
    is_function = config.get("place") == "report"
    return tune.Tuner(
        chaos_function if is_function else ChaosTrainable,
        param_space=config,
        tune_config=tune.TuneConfig(**options),
        run_config=tune.RunConfig(
            name="chaos",
            storage_path=tmp_path,
            verbose=0,
            failure_config=failure_config,
            checkpoint_config=None if is_function else checkpoint_config,
        ),
        executor=EXECUTORS[executor](),
    ).fit()


def metrics_of(result: tune.Result) -> dict[str, Any]:
    assert result.metrics is not None
    return result.metrics


def check_error(error: Any, fault: str, trial_dir: str | None) -> None:
    assert trial_dir is not None
    assert trial_dir in str(error)
    text = Path(trial_dir, "error.txt").read_text()
    assert "Failure # 1" in text
    if fault == "raise":
        assert isinstance(error, ChaosError)
        assert isinstance(error, TrialTaskError)
        assert "in strike" in text
    elif fault == "sys.exit":
        assert isinstance(error, TrialTaskError)
        assert f"sys.exit({EXIT_CODE})" in text
        assert "in strike" in text
    elif fault == "os._exit":
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == EXIT_CODE
        assert f"exit code {EXIT_CODE}" in text
    elif fault == "segfault":
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == -11
        assert "SIGSEGV" in text
        assert "in strike" in text, "the Python stack of the crash is missing"
    elif fault == "abort":
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == -6
        assert "SIGABRT: native code gave up" in text
        assert "in strike" in text, "the Python stack of the crash is missing"
    else:
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == -9
        assert "SIGKILL: likely out of memory" in text


@pytest.mark.parametrize(
    ("place", "executor", "fault"),
    [(place, *case) for number, place in enumerate(PLACES) for case in cases(number)],
)
def test_a_fault_is_an_error_of_its_trial_and_of_no_other(
    tmp_path: Path, executor: str, fault: str, place: str
) -> None:
    config = {"place": tune.grid_search([place, "nowhere"]), "fault": fault, "stop_at": 2}
    if place == "report":
        config = {"place": "report", "fault": fault, "at_step": tune.grid_search([2, 99])}
    grid = run(tmp_path, executor, config, checkpoint_frequency=0 if place == "report" else 1)
    assert grid.num_errors == 1
    assert grid.num_terminated == 1
    failed = next(result for result in grid if result.error)
    check_error(failed.error, fault, failed.path)
    if place == "report":
        assert metrics_of(failed)["steps"] == 1


@pytest.mark.parametrize(("executor", "fault"), cases(0))
def test_a_fault_in_restore_fails_the_trial_that_was_to_go_on(
    tmp_path: Path, executor: str, fault: str
) -> None:
    grid = tune.Tuner(
        FailsThenCannotRestore,
        param_space={"fault": fault},
        run_config=tune.RunConfig(
            name="chaos",
            storage_path=tmp_path,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
        executor=EXECUTORS[executor](),
    ).fit()
    assert grid.num_errors == 1
    text = Path(str(grid[0].path), "error.txt").read_text()
    assert "Failure # 1" in text
    assert "Failure # 2" in text
    assert "restore" in text.partition("Failure # 2")[2]


class FailsThenCannotRestore(ChaosTrainable):
    """Raises once in its second step, and strikes when it is restored."""

    def step(self) -> dict[str, Any]:
        self.steps += 1
        if self.steps == 2:
            raise ChaosError("the first failure")
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: Any) -> None:
        strike(self.config["fault"])


@pytest.mark.parametrize(("executor", "fault"), cases(1))
def test_a_fault_in_reset_fails_the_next_trial_and_its_worker_is_replaced(
    tmp_path: Path, executor: str, fault: str
) -> None:
    config = {
        "number": tune.grid_search([0, 1, 2]),
        "place": tune.sample_from(lambda config: "reset" if config["number"] == 1 else "nowhere"),
        "fault": fault,
        "stop_at": 1,
    }
    grid = run(tmp_path, executor, config, reuse_actors=True)
    # The fault strikes in the config of the trial that comes, so the second trial fails.
    assert [bool(result.error) for result in grid] == [False, True, False]
    check_error(grid[1].error, fault, grid[1].path)


@pytest.mark.parametrize(("executor", "fault"), cases(0))
def test_a_fault_is_retried_from_the_last_checkpoint(
    tmp_path: Path, executor: str, fault: str
) -> None:
    config = {"place": "step", "fault": fault, "at_step": 3, "once": str(tmp_path / "once")}
    config["stop_at"] = 4
    grid = run(tmp_path, executor, config, max_failures=1, checkpoint_frequency=1)
    assert not grid.errors
    assert metrics_of(grid[0])["steps"] == 4
    assert metrics_of(grid[0])["training_iteration"] == 4
    assert metrics_of(grid[0])["iterations_since_restore"] == 2
    rows = Path(str(grid[0].path), "result.json").read_text().splitlines()
    assert len(rows) == 4


@pytest.mark.parametrize(("executor", "fault"), cases(1))
def test_a_fault_in_cleanup_does_not_spoil_a_trial_that_is_complete(
    tmp_path: Path, executor: str, fault: str
) -> None:
    grid = run(tmp_path, executor, {"place": "cleanup", "fault": fault})
    assert not grid.errors
    assert metrics_of(grid[0])["steps"] == 3


@pytest.mark.parametrize(("executor", "fault"), cases(0))
def test_a_fault_in_an_export_fails_the_trial(tmp_path: Path, executor: str, fault: str) -> None:
    analysis = tune.run(
        ChaosTrainable,
        config={"place": tune.grid_search(["export", "nowhere"]), "fault": fault, "stop_at": 1},
        export_formats=["model"],
        storage_path=str(tmp_path),
        verbose=0,
        raise_on_failed_trial=False,
        executor=EXECUTORS[executor](),
    )
    failed = analysis.trials[0]
    assert [trial.status for trial in analysis.trials] == ["ERROR", "TERMINATED"]
    check_error(failed.error, fault, failed.path)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in SURVIVABLE])
def test_in_one_process_a_crash_ends_the_parent_as_it_would_a_script(
    tmp_path: Path, fault: str
) -> None:
    script = (
        "import localtune as tune\n"
        "from localtune.testing.chaos import ChaosTrainable\n"
        f"tune.Tuner(ChaosTrainable, param_space={{'place': 'step', 'fault': {fault!r}}},\n"
        f"    run_config=tune.RunConfig(storage_path={str(tmp_path)!r}, verbose=0),\n"
        "    executor='inprocess').fit()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=60.0
    )
    codes = {"os._exit": EXIT_CODE, "segfault": -11, "abort": -6, "SIGKILL": -9}
    assert done.returncode == codes[fault]
