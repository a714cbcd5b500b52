"""Where user code fails, times how: which error, and which state, on any executor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.error import TrialTaskError, WorkerDiedError
from localtune.execution.executor import Executor
from localtune.testing.chaos import (
    EXIT_CODE,
    ChaosError,
    ChaosTrainable,
    chaos_function,
    strike,
)

MakeExecutor = Callable[[], "Executor | str"]


def run(
    tmp_path: Path, make: MakeExecutor, config: dict[str, Any], **options: Any
) -> tune.ResultGrid:
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
        executor=make(),
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


def check_place(place: str, tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """The fault is an error of its trial, and of no other."""
    config = {"place": tune.grid_search([place, "nowhere"]), "fault": fault, "stop_at": 2}
    if place == "report":
        config = {"place": "report", "fault": fault, "at_step": tune.grid_search([2, 99])}
    grid = run(tmp_path, make, config, checkpoint_frequency=0 if place == "report" else 1)
    assert grid.num_errors == 1
    assert grid.num_terminated == 1
    failed = next(result for result in grid if result.error)
    check_error(failed.error, fault, failed.path)
    if place == "report":
        assert metrics_of(failed)["steps"] == 1


def check_restore(tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """The trial fails that was to go on from its checkpoint."""
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
        executor=make(),
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


def check_reset(tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """The next trial fails, and its worker is replaced."""
    config = {
        "number": tune.grid_search([0, 1, 2]),
        "place": tune.sample_from(lambda config: "reset" if config["number"] == 1 else "nowhere"),
        "fault": fault,
        "stop_at": 1,
    }
    grid = run(tmp_path, make, config, reuse_actors=True, max_concurrent_trials=1)
    # The fault strikes in the config of the trial that comes, so the second trial fails.
    assert [bool(result.error) for result in grid] == [False, True, False]
    check_error(grid[1].error, fault, grid[1].path)


def check_retry(tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """The trial goes on from its last checkpoint."""
    config = {"place": "step", "fault": fault, "at_step": 3, "once": str(tmp_path / "once")}
    config["stop_at"] = 4
    grid = run(tmp_path, make, config, max_failures=1, checkpoint_frequency=1)
    assert not grid.errors
    assert metrics_of(grid[0])["steps"] == 4
    assert metrics_of(grid[0])["training_iteration"] == 4
    assert metrics_of(grid[0])["iterations_since_restore"] == 2
    rows = Path(str(grid[0].path), "result.json").read_text().splitlines()
    assert len(rows) == 4


def check_cleanup(tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """A trial that is complete stays so."""
    grid = run(tmp_path, make, {"place": "cleanup", "fault": fault})
    assert not grid.errors
    assert metrics_of(grid[0])["steps"] == 3


def check_export(tmp_path: Path, make: MakeExecutor, fault: str) -> None:
    """The trial fails."""
    analysis = tune.run(
        ChaosTrainable,
        config={"place": tune.grid_search(["export", "nowhere"]), "fault": fault, "stop_at": 1},
        export_formats=["model"],
        storage_path=str(tmp_path),
        verbose=0,
        raise_on_failed_trial=False,
        executor=make(),
    )
    failed = analysis.trials[0]
    assert [trial.status for trial in analysis.trials] == ["ERROR", "TERMINATED"]
    check_error(failed.error, fault, failed.path)


# {place: what happens there}
CHECKS: dict[str, Callable[[Path, MakeExecutor, str], None]] = {
    "setup": partial(check_place, "setup"),
    "step": partial(check_place, "step"),
    "save": partial(check_place, "save"),
    "report": partial(check_place, "report"),
    "restore": check_restore,
    "reset": check_reset,
    "retry": check_retry,
    "cleanup": check_cleanup,
    "export": check_export,
}
