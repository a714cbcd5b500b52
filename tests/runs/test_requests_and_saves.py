"""Requests that meet a save or a retry, with real processes; nothing is left to chance but speed.

The tables of docs/controller.md are tried without processes in tests/controller/test_requests.py.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import FIFOScheduler
from localtune.stopper import Stopper
from localtune.trial.trial import Trial
from tests.runs.test_cut_short import check_directory
from tests.small_runs import PauseAlways, fit, processes, statuses


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.001)  # a poll: nothing depends on how long it takes


class SavesSlowly(tune.Trainable):
    """Number 0 comes back from its first save when ``asked`` exists; number 1 waits for that save.

    Number 1 then asks what it is there for, or fails if ``config["fails"]`` says so.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0
        self.place = Path(config["place"])

    def step(self) -> dict[str, Any]:
        if self.config["number"] == 1:
            wait_for(self.place / "saving")
            if self.config["fails"]:
                raise ValueError("the run shall end")
        self.count += 1
        return {"count": self.count, "done": self.count >= 3}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "count").write_text(str(self.count))
        if self.config["number"] == 0 and self.count == 1:
            (self.place / "saving").touch()
            wait_for(self.place / "asked")

    def load_checkpoint(self, checkpoint_dir: Any) -> None:
        self.count = int(Path(checkpoint_dir, "count").read_text())


class Asks(FIFOScheduler):
    """Asks for something about trial 0 at the first result of trial 1."""

    def __init__(self, request: str, place: Path) -> None:
        self.request = request
        self.place = place

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        first, second = tune_controller.get_trials()
        if trial is second and not (self.place / "asked").exists():
            if self.request == "stop":
                tune_controller.stop_trial(first)
            elif self.request == "clone":
                tune_controller.clone_trial(first, first, config=first.config, experiment_tag="c")
            elif self.request.startswith("pause"):
                tune_controller.pause_trial(first, should_checkpoint=self.request == "pause")
        return self.CONTINUE


class EndsAll(Stopper):
    """Ends the run at the first result of trial 1."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.is_over = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.is_over = self.is_over or result["config"]["number"] == 1
        return False

    def stop_all(self) -> bool:
        return self.is_over


class Tells(tune.Callback):
    """Lets the save go on: all requests on trial 1 have been made by then."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def on_trial_result(  # type: ignore[no-untyped-def]
        self, iteration, trials, trial, result, **info
    ):
        if trial.config["number"] == 1:
            (self.place / "asked").touch()

    def on_trial_error(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        (self.place / "asked").touch()


def run(tmp_path: Path, request: str, **options: Any) -> Any:
    space = {
        "number": tune.grid_search([0, 1]),
        "place": str(tmp_path),
        "fails": request == "fail_fast",
    }
    return fit(
        SavesSlowly,
        tmp_path,
        space,
        checkpoint_frequency=1,
        executor=processes(2),
        callbacks=[Tells(tmp_path)],
        fail_fast=request == "fail_fast",
        stop=EndsAll(tmp_path) if request == "stop_all" else None,
        scheduler=Asks(request, tmp_path),
        **options,
    )


def checkpoints_of(grid: Any, number: int) -> list[int]:
    trial = grid._experiment_analysis.trials[number]
    check_directory(trial)
    return [each.metrics["count"] for each in trial.known_checkpoints]


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize(
    ("request_", "counts"),
    [
        ("stop", [1]),
        ("pause", [1, 2, 3]),
        ("pause unsaved", [1, 2, 3]),
        ("clone", [1, 2, 3]),
        ("stop_all", [1]),
        ("fail_fast", [1]),
    ],
)
def test_what_meets_a_save_in_flight_loses_no_checkpoint(
    tmp_path: Path, request_: str, counts: list[int], reuse: bool
) -> None:
    grid = run(tmp_path, request_, reuse_actors=reuse)
    assert statuses(grid) == ["TERMINATED", "ERROR" if request_ == "fail_fast" else "TERMINATED"]
    assert checkpoints_of(grid, 0) == counts
    checkpoints_of(grid, 1)
    assert grid[0].checkpoint is not None
    assert Path(grid[0].checkpoint.path, "count").read_text() == str(counts[-1])


class DiesInSave(tune.Trainable):
    """Is killed in the middle of each save of its second step, as often as ``config`` says."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"count": self.count, "done": self.count >= 3}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "count").write_text(str(self.count))
        marker = Path(self.logdir, f"died_{len(list(Path(self.logdir).glob('died_*')))}")
        if self.count == 2 and marker.name != f"died_{self.config['deaths']}":
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def load_checkpoint(self, checkpoint_dir: Any) -> None:
        self.count = int(Path(checkpoint_dir, "count").read_text())


class StopsWhoFailed(FIFOScheduler):
    """Stops a trial that waits to be retried."""

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        tune_controller.stop_trial(trial)


@pytest.mark.parametrize(
    ("max_failures", "scheduler", "status", "counts"),
    [
        (1, None, "ERROR", [1]),
        (2, None, "TERMINATED", [1, 2, 3]),
        (2, StopsWhoFailed, "TERMINATED", [1]),
    ],
)
@pytest.mark.parametrize("retry_wait_s", [0.0, 0.01])
def test_a_save_that_was_killed_leaves_nothing_in_the_trials_directory(
    tmp_path: Path,
    max_failures: int,
    scheduler: Any,
    status: str,
    counts: list[int],
    retry_wait_s: float,
) -> None:
    grid = fit(
        DiesInSave,
        tmp_path,
        {"deaths": 2},
        checkpoint_frequency=1,
        max_failures=max_failures,
        retry_wait_s=retry_wait_s,
        scheduler=scheduler() if scheduler else None,
        executor=processes(1),
    )
    assert statuses(grid) == [status]
    assert checkpoints_of(grid, 0) == counts


class Inhabits(tune.Trainable):
    """Fails if another process is in its directory; fails once by itself, too."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0
        self.sign = Path(self.logdir, "inhabited")
        os.close(os.open(self.sign, os.O_CREAT | os.O_EXCL))

    def step(self) -> dict[str, Any]:
        self.count += 1
        marker = Path(self.logdir, "failed")
        if self.count == 2 and not marker.exists():
            marker.touch()
            raise ValueError("only once")
        return {"count": self.count, "done": self.count >= 4}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]

    def cleanup(self) -> None:
        # Long enough for another process to come, if one may.
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            time.sleep(0.01)
        self.sign.unlink()


def test_a_trial_starts_again_when_its_former_worker_has_gone(tmp_path: Path) -> None:
    grid = fit(
        Inhabits,
        tmp_path,
        num_samples=2,
        scheduler=PauseAlways(),
        checkpoint_frequency=1,
        max_failures=1,
        executor=processes(4),
    )
    assert statuses(grid) == ["TERMINATED"] * 2
    assert [trial.num_failures for trial in grid._experiment_analysis.trials] == [1, 1]
