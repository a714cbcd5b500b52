"""The loop around the state machine: what it does when nothing happens, or when the run ends."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.controller.controller import Controller
from localtune.error import TrialError, TuneError, WorkerStartError
from localtune.execution.local_slots import LocalSlots
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.testing import ManualClock
from tests.controller.settings import make_settings
from tests.small_runs import Counting, PauseAlways, fit, processes, rows, statuses


def test_a_searcher_that_waits_is_nothing_to_be_busy_with() -> None:
    searcher = BasicVariantGenerator(max_concurrent=1)
    searcher.setup({}, 3)
    state = Controller(
        make_settings(),
        searcher,
        FIFOScheduler(),
        NoopStopper(),
        LocalSlots(2, 0),
        ManualClock(),
    )
    assert state.has_work
    state.advance()
    assert len(state.trials) == 1
    assert not state.has_work


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_the_limit_of_a_searcher_holds_and_all_its_trials_run(
    tmp_path: Path, executor: str
) -> None:
    grid = fit(
        Counting,
        tmp_path,
        num_samples=4,
        search_alg=BasicVariantGenerator(max_concurrent=1),
        executor=executor if executor == "inprocess" else processes(2),
    )
    assert statuses(grid) == ["TERMINATED"] * 4


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
@pytest.mark.parametrize("hook", ["on_trial_complete", "on_trial_result", "on_checkpoint"])
def test_no_worker_starts_after_the_error_that_ends_the_run(
    tmp_path: Path, executor: str, hook: str
) -> None:
    class Broken(tune.Callback):
        started = 0

        def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
            self.started += 1

    def strike(**arguments: Any) -> None:
        raise RuntimeError("enough")

    callback = Broken()
    setattr(callback, hook, strike)
    with pytest.raises(TuneError, match="enough"):
        fit(
            Counting,
            tmp_path,
            num_samples=9,
            max_concurrent_trials=1,
            reuse_actors=True,
            checkpoint_frequency=1,
            callbacks=[callback],
            executor=executor if executor == "inprocess" else processes(1),
        )
    assert callback.started == 1


# -- what goes wrong on behalf of one trial --------------------------------------------------------


def fails_without_a_directory(config: dict[str, Any]) -> None:
    shutil.rmtree(os.getcwd())
    raise ValueError("bad")


def leaves_a_directory_error_txt(config: dict[str, Any]) -> None:
    os.makedirs("error.txt", exist_ok=True)
    raise ValueError("bad")


def leaves_a_directory_error_pkl(config: dict[str, Any]) -> None:
    os.makedirs("error.pkl", exist_ok=True)
    raise ValueError("bad")


def leaves_a_file_in_the_place_of_its_directory(config: dict[str, Any]) -> None:
    path = tune.get_context().get_trial_dir()
    assert path is not None
    shutil.rmtree(path)
    Path(path).write_text("no directory")
    raise ValueError("bad")


@pytest.mark.parametrize(("executor", "max_failures"), [("inprocess", 0), ("processes", 1)])
@pytest.mark.parametrize(
    "harm",
    [
        fails_without_a_directory,
        leaves_a_directory_error_txt,
        leaves_a_directory_error_pkl,
        leaves_a_file_in_the_place_of_its_directory,
    ],
)
def test_a_trial_that_harms_its_own_directory_is_one_failed_trial(
    tmp_path: Path, harm: Any, executor: str, max_failures: int
) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"number": 0})
        if config["is_bad"]:
            harm(config)
        tune.report({"number": 1})

    grid = fit(
        train,
        tmp_path,
        {"is_bad": tune.grid_search([True, False, False])},
        max_failures=max_failures,
        executor=executor if executor == "inprocess" else processes(2),
    )
    assert statuses(grid) == ["ERROR", "TERMINATED", "TERMINATED"]
    assert [result.metrics["number"] for result in list(grid)[1:]] == [1, 1]
    assert isinstance(grid[0].error, (ValueError, TrialError))


class FailsForOne(tune.Callback):
    """Raises in one hook, for the first trial."""

    fails_only_its_trial = True

    def __init__(self, hook: str, *, may_lag: bool = False) -> None:
        setattr(self, hook, self._strike)
        self.may_lag = may_lag

    def _strike(self, *, trials: Any, trial: Any, **info: Any) -> None:
        if trial is trials[0]:
            raise RuntimeError("a fault of the logger")


@pytest.mark.parametrize(("executor", "max_failures"), [("inprocess", 1), ("processes", 0)])
@pytest.mark.parametrize(
    ("hook", "may_lag", "status"),
    [
        ("on_trial_start", False, "ERROR"),
        ("on_trial_result", False, "ERROR"),
        ("on_trial_result", True, "ERROR"),
        ("on_checkpoint", False, "ERROR"),
        ("on_trial_save", False, "ERROR"),
        # The trial has ended by then.
        ("on_trial_complete", False, "TERMINATED"),
    ],
)
def test_a_logger_that_fails_for_one_trial_fails_that_trial(
    tmp_path: Path, hook: str, may_lag: bool, status: str, executor: str, max_failures: int
) -> None:
    grid = fit(
        Counting,
        tmp_path,
        num_samples=3,
        max_failures=max_failures,
        checkpoint_frequency=0 if may_lag else 1,
        callbacks=[FailsForOne(hook, may_lag=may_lag)],
        executor=executor if executor == "inprocess" else processes(2),
    )
    assert statuses(grid) == [status, "TERMINATED", "TERMINATED"]
    assert [result.metrics["count"] for result in list(grid)[1:]] == [3, 3]
    if status == "ERROR":
        text = str(grid[0].error)
        assert text.startswith("RuntimeError: a fault of the logger")
        assert f"because FailsForOne.{hook} raised an exception" in text
        written = Path(grid[0].path, "error.txt").read_text()
        assert written.count("Failure #") == max_failures + 1


@pytest.mark.parametrize("hook", ["on_trial_error", "on_trial_recover"])
def test_a_logger_that_cannot_take_in_a_failure_changes_nothing_more(
    tmp_path: Path, hook: str
) -> None:
    config = {"fail_at": tune.grid_search([2, None])}
    callback = FailsForOne(hook)
    grid = fit(Counting, tmp_path, config, max_failures=1, callbacks=[callback])
    assert statuses(grid) == ["ERROR", "TERMINATED"]


def test_a_trial_that_removes_its_directory_goes_on_and_one_that_replaces_it_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def train(config: dict[str, Any]) -> None:
        directory = Path(tune.get_context().get_trial_dir() or "")
        for number in range(4):
            if number == 1:
                shutil.rmtree(directory)
                if config["replaces"]:
                    directory.write_text("no directory")
            tune.report({"number": number})

    grid = fit(train, tmp_path, {"replaces": tune.grid_search([False, True])}, verbose=1)

    assert statuses(grid) == ["TERMINATED", "ERROR"]
    assert [row["number"] for row in rows(grid[0])] == [0, 1, 2, 3]
    shown = capfd.readouterr()
    assert "Not a directory" in shown.out
    assert "\\n" not in shown.out + shown.err


@pytest.mark.parametrize("reuse", [False, True])
def test_a_directory_that_cannot_be_prepared_fails_its_trial_before_it_starts(
    tmp_path: Path, reuse: bool
) -> None:
    class Replaces(tune.Callback):
        """Puts a file in the place of the first trial's directory while the trial rests."""

        def on_trial_save(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
            if trial is trials[0]:
                shutil.rmtree(trial.path)
                Path(trial.path).write_text("no directory")

    grid = fit(
        Counting,
        tmp_path,
        num_samples=3,
        scheduler=PauseAlways(),
        reuse_actors=reuse,
        callbacks=[Replaces()],
        executor=processes(1),
    )
    assert statuses(grid) == ["ERROR", "TERMINATED", "TERMINATED"]
    assert "because its directory could not be prepared" in str(grid[0].error)


class RefusesFirst(tune.ProcessExecutor):
    """Raises an error in place of the first start of a worker."""

    def __init__(self, error: Exception) -> None:
        super().__init__(num_cpus=3)
        self.error: Exception | None = error

    def start_worker(self, worker_id: int, command: Any, slot: Any) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        super().start_worker(worker_id, command, slot)


@pytest.mark.parametrize("error", [WorkerStartError("no"), RuntimeError("no"), OSError("no")])
def test_a_worker_that_an_executor_cannot_start_fails_its_trial_alone(
    tmp_path: Path, error: Exception
) -> None:
    grid = fit(Counting, tmp_path, num_samples=3, executor=RefusesFirst(error))
    assert statuses(grid) == ["ERROR", "TERMINATED", "TERMINATED"]
    assert "no" in str(grid[0].error)


def test_a_start_that_finds_the_disk_full_ends_the_run(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(TuneError, match="No space left"):
        fit(Counting, tmp_path, num_samples=3, executor=RefusesFirst(error))


class DropsOthers(FIFOScheduler):
    """When a trial has failed, stops or pauses the others."""

    def __init__(self, what: str) -> None:
        self.what = what

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        for other in tune_controller.get_live_trials():
            if other is trial:
                continue
            if self.what == "stop":
                tune_controller.stop_trial(other)
            else:
                tune_controller.pause_trial(other, should_checkpoint=False)


@pytest.mark.parametrize("what", ["stop", "pause"])
def test_a_scheduler_may_drop_trials_that_are_about_to_start(tmp_path: Path, what: str) -> None:
    grid = fit(
        Counting,
        tmp_path,
        num_samples=3,
        scheduler=DropsOthers(what),
        executor=RefusesFirst(WorkerStartError("no")),
    )
    assert statuses(grid) == ["ERROR", "TERMINATED", "TERMINATED"]
    steps = [(result.metrics or {}).get("count") for result in list(grid)[1:]]
    assert steps == ([None, None] if what == "stop" else [3, 3])


def test_a_disk_that_is_full_ends_the_run(tmp_path: Path) -> None:
    class Full(tune.Callback):
        fails_only_its_trial = True

        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TuneError, match="No space left"):
        fit(Counting, tmp_path, num_samples=3, callbacks=[Full()])
