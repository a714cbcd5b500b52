"""Small real runs for tests: trainables, a recording callback, and a Tuner in one call."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.checkpoint import Checkpoint
from localtune.running.resume import Found
from localtune.running.storage import RunStorage
from localtune.schedulers import FIFOScheduler
from localtune.trial.trial import Trial


class Counting(tune.Trainable):
    """Counts its steps up to ``config["steps"]``; saves, loads, and can be reset.

    At step ``config["fail_at"]`` it raises; with ``config["once"]``, a path, only once.
    """

    resets = 0

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        if self.count == self.config.get("fail_at") and first_time(self.config.get("once")):
            raise ValueError(f"step {self.count} failed")
        result: dict[str, Any] = {"count": self.count, "loss": 1.0 / self.count}
        result["nested"] = {"count": self.count, "resets": self.resets}
        result["done"] = self.count >= self.config.get("steps", 3)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.count = 0
        self.resets += 1
        return True

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        for name in export_formats:
            Path(export_dir, f"exported_{name}").touch()
        return dict.fromkeys(export_formats, export_dir)


class CannotSave(tune.Trainable):
    """Counts its steps up to ``config["steps"]``."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"count": self.count, "done": self.count >= self.config.get("steps", 3)}


def begin_only(tuner: tune.Tuner) -> Path:
    """Leaves what a run leaves that is killed before its first trial; returns its directory."""
    config = tuner._spec.tune_config
    with RunStorage(tuner._spec, tuner._directory) as storage:
        storage.begin(Found(), (config.metric, config.mode), 0.0)
    return Path(tuner.path)


def first_time(marker: str | None) -> bool:
    """Whether the file does not exist yet; creates it. Without a file: always."""
    if marker is None:
        return True
    if os.path.exists(marker):
        return False
    Path(marker).touch()
    return True


def reporting(config: dict[str, Any]) -> None:
    """Reports ``score``, ``config["x"]`` times the step, ``config["steps"]`` times."""
    for step in range(1, config.get("steps", 1) + 1):
        tune.report({"score": config.get("x", 1) * step, "step": step})


def reporting_checkpoints(config: dict[str, Any]) -> None:
    """Reports ``config["steps"]`` times, each with a checkpoint, and goes on from one.

    Before step ``config["fail_at"]`` it raises; with ``config["once"]``, a path, only once.
    """
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            start = int(Path(path, "step").read_text())
    for step in range(start + 1, config.get("steps", 3) + 1):
        if step == config.get("fail_at") and first_time(config.get("once")):
            raise ValueError(f"step {step} failed")
        folder = Path(f"made_{step}")
        folder.mkdir(exist_ok=True)
        (folder / "step").write_text(str(step))
        scores = config.get("scores")
        metrics = {"step": step, "score": scores[step - 1] if scores else step}
        tune.report(metrics, checkpoint=Checkpoint.from_directory(str(folder)))


class Recorder(tune.Callback):
    """Keeps (hook, number of the trial, extra argument) of each call about a trial."""

    def __init__(self, name: str = "", log: list[Any] | None = None) -> None:
        self.name = name
        self.calls: list[tuple[Any, ...]] = log if log is not None else []

    def _note(self, hook: str, trials: list[Trial], trial: Trial, *extra: Any) -> None:
        self.calls.append((*([self.name] if self.name else []), hook, trials.index(trial), *extra))

    def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("start", trials, trial)

    def on_trial_restore(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("restore", trials, trial)

    def on_trial_save(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("save", trials, trial)

    def on_trial_result(  # type: ignore[no-untyped-def]
        self, iteration, trials, trial, result, **info
    ):
        self._note("result", trials, trial, result["training_iteration"])

    def on_trial_complete(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("complete", trials, trial)

    def on_trial_recover(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("recover", trials, trial)

    def on_trial_error(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._note("error", trials, trial)

    def on_checkpoint(  # type: ignore[no-untyped-def]
        self, iteration, trials, trial, checkpoint, **info
    ):
        self._note("checkpoint", trials, trial, os.path.basename(checkpoint.path))

    def on_experiment_end(self, trials, **info):  # type: ignore[no-untyped-def]
        self.calls.append((*([self.name] if self.name else []), "end", len(trials)))


class PauseAlways(FIFOScheduler):
    """Pauses a trial after each result, as long as it is not done."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.PAUSE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        waiting = [
            trial
            for trial in tune_controller.get_live_trials()
            if trial.status in ("PENDING", "PAUSED")
        ]
        return min(waiting, key=lambda t: t.last_result.get("training_iteration", 0), default=None)


def make_tuner(
    trainable: Any,
    storage_path: Path,
    param_space: Any = None,
    *,
    executor: Any = "inprocess",
    **options: Any,
) -> tune.Tuner:
    """A Tuner; ``options`` are fields of all the configs."""

    def take(cls: type[Any]) -> Any:
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: options.pop(name) for name in names if name in options})

    tune_config = take(tune.TuneConfig)
    checkpoint_config = take(tune.CheckpointConfig)
    failure_config = take(tune.FailureConfig)
    defaults = {"name": "run", "storage_path": storage_path, "verbose": 0}
    run_config = tune.RunConfig(
        checkpoint_config=checkpoint_config,
        failure_config=failure_config,
        **{**defaults, **options},
    )
    return tune.Tuner(
        trainable,
        param_space=param_space,
        tune_config=tune_config,
        run_config=run_config,
        executor=executor,
    )


def fit(trainable: Any, storage_path: Path, param_space: Any = None, **options: Any) -> Any:
    """Runs what :func:`make_tuner` makes."""
    return make_tuner(trainable, storage_path, param_space, **options).fit()


def rows(result: Any) -> list[dict[str, Any]]:
    """What stands in the ``result.json`` of a trial."""
    text = Path(result.path, "result.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def checkpoint_names(result: Any) -> list[str]:
    """Names of the checkpoint directories of a trial that are on disk."""
    return sorted(path.name for path in Path(result.path).glob("checkpoint_*"))


def statuses(grid: Any) -> list[str]:
    """The statuses of all trials."""
    return [trial.status.value for trial in grid._experiment_analysis.trials]


def processes(num_cpus: int = 2) -> tune.ProcessExecutor:
    """An executor of real processes."""
    return tune.ProcessExecutor(num_cpus=num_cpus)


class Resumable(Counting):
    """Behaves as its ``number`` says, until the file ``config["go"]`` exists.

    0 counts to 6; 1 fails at step 3; 2 never comes back from step 4; others are as 0.
    """

    def step(self) -> dict[str, Any]:
        may_go = os.path.exists(self.config["go"])
        if not may_go and self.config["number"] == 1 and self.count == 2:
            raise ValueError("not before go")
        if not may_go and self.config["number"] == 2 and self.count == 3:
            signal.pause()
        return super().step()


class Announce(tune.Callback):
    """Prints what is saved: how a test that reads the output knows where a run is."""

    printed = ""

    def on_step_end(self, iteration, trials, **info):  # type: ignore[no-untyped-def]
        if trials and trials[-1].checkpoints.latest is not None:
            count = trials[-1].checkpoints.latest.metrics["count"]
            text = f"saved {trials[-1].config['number']} {count}"
            if text != self.printed:
                print(text, flush=True)
            self.printed = text


def resumable_tuner(storage_path: Path, go: Path, numbers: int = 4, **options: Any) -> tune.Tuner:
    """A Tuner whose run does not end before the file ``go`` exists."""
    space = {"number": tune.grid_search(list(range(numbers))), "go": str(go), "steps": 6}
    return make_tuner(
        Resumable,
        storage_path,
        space,
        executor=processes(1),
        checkpoint_frequency=1,
        metric="count",
        mode="max",
        callbacks=[Announce()],
        **{"max_concurrent_trials": 1, **options},
    )


class Program:
    """A run in a process of its own, which a test interrupts when it has printed a line.

    Args:
        source: Python code; the names of this module are imported.
    """

    def __init__(self, source: str) -> None:
        root = str(Path(__file__).parent.parent)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from pathlib import Path\nfrom tests.small_runs import *\n{source}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
        )

    def wait_for(self, text: str) -> None:
        """Reads up to a line with a text in it."""
        assert self.process.stdout is not None
        for each in self.process.stdout:
            if text in each:
                return
        raise AssertionError(f"The program ended without printing {text!r}.")

    def end(self, number: int) -> str:
        """Sends a signal; returns what the program still printed, once it has ended."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        return str(rest)
