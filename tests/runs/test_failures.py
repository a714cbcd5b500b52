"""The effects of a trial's failure on it, on other trials, and on the run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TrialTaskError, TuneError, WorkerDiedError
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from tests.small_runs import (
    CannotSave,
    Counting,
    PauseAlways,
    Recorder,
    fit,
    processes,
    reporting,
    reporting_checkpoints,
    rows,
    statuses,
)


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
@pytest.mark.parametrize("frequency", [1, 2, 3])
def test_a_retried_class_goes_on_from_its_last_checkpoint(
    tmp_path: Path, executor: str, frequency: int
) -> None:
    config = {"steps": 10, "fail_at": 5, "once": str(tmp_path / "once")}
    grid = fit(
        Counting,
        tmp_path,
        config,
        max_failures=3,
        checkpoint_frequency=frequency,
        executor=executor if executor == "inprocess" else processes(1),
    )
    assert statuses(grid) == ["TERMINATED"]
    assert grid[0].error is None
    assert [row["training_iteration"] for row in rows(grid[0])] == list(range(1, 11))
    assert [row["count"] for row in rows(grid[0])] == list(range(1, 11))
    restored_at = 4 // frequency * frequency
    assert rows(grid[0])[-1]["iterations_since_restore"] == 10 - restored_at


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_a_retried_function_goes_on_from_its_last_checkpoint(tmp_path: Path, executor: str) -> None:
    config = {"steps": 10, "fail_at": 5, "once": str(tmp_path / "once")}
    grid = fit(
        reporting_checkpoints,
        tmp_path,
        config,
        max_failures=3,
        executor=executor if executor == "inprocess" else processes(1),
    )
    assert [row["step"] for row in rows(grid[0])] == list(range(1, 11))
    assert [row["training_iteration"] for row in rows(grid[0])] == list(range(1, 11))


def test_without_a_checkpoint_a_retry_starts_from_scratch(tmp_path: Path) -> None:
    config = {"steps": 4, "fail_at": 3, "once": str(tmp_path / "once")}
    grid = fit(Counting, tmp_path, config, max_failures=1, checkpoint_at_end=False)
    assert [row["count"] for row in rows(grid[0])] == [1, 2, 3, 4]
    assert rows(grid[0])[-1]["iterations_since_restore"] == 4


def test_minus_one_retries_without_end(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, int]:
        tries = Path(config["tries"])
        tries.write_text(tries.read_text() + "x")
        if len(tries.read_text()) < 8:
            raise OSError("not yet")
        return {"tries": len(tries.read_text())}

    (tmp_path / "tries").touch()
    grid = fit(train, tmp_path, {"tries": str(tmp_path / "tries")}, max_failures=-1)
    assert grid[0].metrics["tries"] == 8
    assert Path(grid[0].path, "error.txt").read_text().count("Failure #") == 7


@pytest.mark.parametrize("max_failures", [0, 1, 2])
def test_a_lasting_error_is_tried_once_more_than_allowed_failures(
    tmp_path: Path, max_failures: int
) -> None:
    recorder = Recorder()
    grid = fit(
        Counting,
        tmp_path,
        {"fail_at": 2},
        max_failures=max_failures,
        callbacks=[recorder],
    )
    trial = grid._experiment_analysis.trials[0]
    assert trial.num_failures == max_failures + 1
    hooks = [call[0] for call in recorder.calls]
    assert hooks.count("recover") == max_failures
    assert hooks.count("error") == 1
    assert "complete" not in hooks
    text = Path(grid[0].path, "error.txt").read_text()
    assert [f"Failure # {n} (occurred at " in text for n in range(1, 4)] == [
        n <= max_failures + 1 for n in range(1, 4)
    ]
    assert "step 2 failed" in text


def test_a_failed_trial_keeps_its_results_and_spoils_no_other(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path, {"fail_at": tune.grid_search([2, None, 3])})
    assert statuses(grid) == ["ERROR", "TERMINATED", "ERROR"]
    assert (grid.num_errors, grid.num_terminated, len(grid.errors)) == (2, 1, 2)
    assert [len(rows(result)) for result in grid] == [1, 3, 2]
    assert [result.metrics["count"] for result in grid] == [1, 3, 2]


def test_an_error_is_of_both_types_and_keeps_its_cause(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path, {"fail_at": 1}, executor=processes(1))
    error = grid[0].error
    assert isinstance(error, ValueError)
    assert isinstance(error, TrialTaskError)
    assert isinstance(error.cause, ValueError)
    assert error.cause.args == ("step 1 failed",)
    assert str(error).startswith("ValueError: step 1 failed")
    assert "in step" in str(error)
    assert grid[0].path in str(error)
    with open(os.path.join(grid[0].path, "error.pkl"), "rb") as file:
        assert isinstance(pickle.load(file), ValueError)


class Picky(Exception):
    """Has a constructor that pickle cannot call."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")


def test_an_exception_that_cannot_travel_keeps_its_text(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        raise Picky(3, "no luck")

    error = fit(train, tmp_path, executor=processes(1))[0].error
    assert isinstance(error, TrialTaskError)
    assert "Picky: no luck (3)" in str(error)


def test_a_dead_worker_is_an_error_with_its_exit_code(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        os._exit(5)

    error = fit(train, tmp_path, executor=processes(1))[0].error
    assert isinstance(error, WorkerDiedError)
    assert error.exit_code == 5


# -- fail_fast ----------------------------------------------------------------------------------


def test_fail_fast_ends_all_trials(tmp_path: Path) -> None:
    recorder = Recorder()
    grid = fit(
        Counting,
        tmp_path,
        {"steps": tune.grid_search([10**9, 10**9 + 1]), "fail_at": 50},
        num_samples=5,
        max_concurrent_trials=2,
        fail_fast=True,
        callbacks=[recorder],
    )
    assert statuses(grid) == ["ERROR", "TERMINATED"]
    assert not any(call[0] == "complete" for call in recorder.calls)


@pytest.mark.parametrize("word", ["raise", "RAISE"])
def test_fail_fast_raise_raises_the_error_of_the_trial(tmp_path: Path, word: str) -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="step 2 failed") as caught:
        fit(
            Counting,
            tmp_path,
            {"fail_at": 2},
            num_samples=3,
            max_concurrent_trials=1,
            fail_fast=word,
            callbacks=[recorder],
        )
    assert isinstance(caught.value, TrialTaskError)
    assert isinstance(caught.value.cause, ValueError)
    assert recorder.calls[-2:] == [("error", 0), ("end", 1)]


def test_fail_fast_and_retries_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="max_failures must be 0 if fail_fast is set, but got 2"):
        tune.FailureConfig(max_failures=2, fail_fast=True)


# -- who is told --------------------------------------------------------------------------------


class Told(FIFOScheduler):
    """Counts the calls of ``on_trial_error``."""

    errors = added = 0

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self.errors += 1

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.added += 1


class ToldSearcher(BasicVariantGenerator):
    """Keeps the calls of ``on_trial_complete``."""

    def __init__(self) -> None:
        super().__init__()
        self.completed: list[tuple[bool, bool]] = []

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.completed.append((result is not None, error))


def test_the_scheduler_hears_of_each_failure_and_the_searcher_of_the_last(tmp_path: Path) -> None:
    scheduler, searcher = Told(), ToldSearcher()
    fit(
        Counting,
        tmp_path,
        {"fail_at": 2},
        max_failures=2,
        scheduler=scheduler,
        search_alg=searcher,
    )
    assert (scheduler.errors, scheduler.added) == (3, 3)
    assert searcher.completed == [(False, True)]


def test_the_searcher_never_hears_of_a_failure_that_was_recovered(tmp_path: Path) -> None:
    scheduler, searcher = Told(), ToldSearcher()
    config = {"fail_at": 2, "once": str(tmp_path / "once")}
    fit(Counting, tmp_path, config, max_failures=1, scheduler=scheduler, search_alg=searcher)
    assert scheduler.errors == 1
    assert searcher.completed == [(True, False)]


# -- tune.run -----------------------------------------------------------------------------------


def test_run_raises_for_failed_trials_and_names_them(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "config": {"fail_at": 1},
        "storage_path": tmp_path,
        "verbose": 0,
        "executor": "inprocess",
    }
    with pytest.raises(TuneError, match="Trials did not complete") as caught:
        tune.run(Counting, name="raises", **options)
    assert [trial.status for trial in caught.value.args[1]] == ["ERROR"]
    assert isinstance(caught.value.__cause__, ValueError)
    analysis = tune.run(Counting, name="keeps", raise_on_failed_trial=False, **options)
    assert [trial.status for trial in analysis.trials] == ["ERROR"]


def test_the_results_of_a_class_that_is_paused_but_cannot_save_give_advice(
    tmp_path: Path,
) -> None:
    grid = fit(CannotSave, tmp_path, scheduler=PauseAlways())
    assert isinstance(grid[0].error, NotImplementedError)
    assert "implement save_checkpoint and load_checkpoint" in str(grid[0].error)


def test_a_function_that_fails_after_its_reports_keeps_them(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        reporting({"steps": 2})
        raise RuntimeError("late")

    grid = fit(train, tmp_path)
    assert isinstance(grid[0].error, RuntimeError)
    assert [row["step"] for row in rows(grid[0])] == [1, 2]
