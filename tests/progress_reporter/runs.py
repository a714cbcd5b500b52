"""Trials for tests of the output, and a run that goes through their lives by hand."""

from __future__ import annotations

import dataclasses
import io
from typing import Any, TextIO

from localtune.checkpoint import Checkpoint
from localtune.error import TrialTaskError
from localtune.progress_reporter.console import ConsoleOutput
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.machine import MachineLoad, MachineMeter
from localtune.progress_reporter.output import Output
from localtune.progress_reporter.quiet import QuietOutput
from localtune.testing import ManualClock
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial

PATH = "/results/sweep"


def make_trial(number: int = 0, **options: Any) -> Trial:
    """A trial ``t<number>`` with the parameters ``lr`` and ``batch``, of which lr varies."""
    params = options.pop("params", {"lr": 0.1 * (number + 1), "batch": 32})
    options.setdefault("config", dict(params))
    name = options.pop("name", None)
    trial = Trial(
        "train",
        trial_id=f"t{number:05d}",
        evaluated_params=params,
        experiment_path=PATH,
        **options,
    )
    trial.dirname = f"train_t{number:05d}"
    trial.custom_trial_name = name
    return trial


def report(trial: Trial, iteration: int, **metrics: Any) -> dict[str, Any]:
    """A result, as the controller hands it on."""
    return {**metrics, "training_iteration": iteration, "time_total_s": iteration * 1.5}


def save(trial: Trial, iteration: int) -> None:
    """Gives a trial a checkpoint that it starts from."""
    metrics = {"training_iteration": iteration}
    tracked = TrackedCheckpoint(Checkpoint(f"{trial.path}/checkpoint"), metrics, index=0)
    trial.start_point = StartPoint(tracked, owner_id=trial.trial_id)


def ended_trial(number: int = 0, status: Status = Status.TERMINATED, **metrics: Any) -> Trial:
    """A trial that ran for two iterations."""
    trial = make_trial(number)
    trial.set_status(Status.RUNNING)
    trial.last_result = report(trial, 2, **metrics)
    if status is Status.ERROR:
        trial.num_failures = 1
        trial.error = user_error("ValueError: bad lr")
    trial.set_status(status)
    return trial


def user_error(last_line: str, path: str = "/srv/ann/train.py", line: int = 12) -> TrialTaskError:
    """What user code raised, without the exception itself."""
    text = (
        "Traceback (most recent call last):\n"
        f'  File "{path}", line {line}, in train\n'
        "    step()\n"
        f"{last_line}\n"
    )
    return TrialTaskError(f"{last_line}\n\nThe trial failed:\n{text}", traceback_text=text)


class SteadyMachine(MachineMeter):
    """A machine whose load can be known in advance."""

    def load(self) -> MachineLoad | None:
        return MachineLoad(0.5, 2**30, 2**32)


FACTS = [field.name for field in dataclasses.fields(RunFacts)]


class Run:
    """Calls the hooks of an output in the order in which a run does."""

    def __init__(self, verbose: int = 1, *, stream: TextIO | None = None, **options: Any) -> None:
        self.clock = options.pop("clock", None) or ManualClock()
        self.stream = stream if stream is not None else io.StringIO()
        about: dict[str, Any] = {"metric": "loss", "mode": "min"}
        about |= {name: options.pop(name) for name in FACTS if name in options}
        options.setdefault("meter", SteadyMachine())
        options.setdefault("environ", {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"})
        self.output: Output = (
            ConsoleOutput(
                verbose,
                RunFacts(PATH, **about),
                stream=self.stream,
                clock=self.clock,
                **options,
            )
            if verbose
            else QuietOutput(self.stream, options["environ"])
        )
        self.trials: list[Trial] = []

    def setup(self, **info: Any) -> None:
        self.output.setup(**info)

    def add(self, trial: Trial) -> Trial:
        self.trials.append(trial)
        return trial

    def start(self, trial: Trial | None = None) -> Trial:
        trial = trial if trial is not None else self.add(make_trial(len(self.trials)))
        trial.set_status(Status.RUNNING)
        self.output.on_trial_start(0, self.trials, trial)
        return trial

    def result(self, trial: Trial, iteration: int = 1, **metrics: Any) -> None:
        result = report(trial, iteration, **metrics)
        self.output.on_trial_result(0, self.trials, trial, result)
        trial.last_result = result

    def finish(self, trial: Trial) -> None:
        trial.set_status(Status.TERMINATED)
        self.output.on_trial_complete(0, self.trials, trial)

    def fail(self, trial: Trial, message: str = "ValueError: bad lr") -> None:
        trial.num_failures += 1
        trial.error = user_error(message)
        trial.set_status(Status.ERROR)
        if trial.should_retry:
            trial.set_status(Status.PENDING)
            self.output.on_trial_recover(0, self.trials, trial)
        else:
            self.output.on_trial_error(0, self.trials, trial)

    def pause(self, trial: Trial) -> None:
        trial.set_status(Status.PAUSED)

    def step(self, duration_s: float = 0.0) -> None:
        self.clock.advance(duration_s)
        self.output.tick(self.trials)

    def end(self, *, interrupted: bool = False) -> None:
        self.output.on_experiment_end(self.trials)
        self.output.summary(self.trials, interrupted=interrupted, elapsed_s=self.clock.monotonic())

    @property
    def text(self) -> str:
        """All that was written; only of a stream in memory."""
        assert isinstance(self.stream, io.StringIO)
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()
