"""Simulated runs in which each trial follows a curve, taken on step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import localtune as tune
from localtune.controller.controller import Controller
from localtune.controller.loop import ExperimentLoop
from localtune.controller.ports import Ports
from localtune.execution.simulated import SimulatedExecutor
from localtune.result import RESULT_DUPLICATE
from localtune.schedulers.base import TrialScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.testing.simulation import SimulationLog
from localtune.trainable.trainable import Trainable
from localtune.trial.trial import Trial
from localtune.worker.program import WorkerProgram
from tests.controller.settings import make_settings

# trial number, time -> metric; None is the end of the trial's own work
Curve = Callable[[int, int], "float | None"]


class CurveRun:
    """A simulated run. Each step of a trial takes one second.

    Args:
        scheduler: Decides.
        curve: Gives the trials their scores.
        count: How many trials there are.
        slots: How many run at once.
        limit: How many are alive at once; 0 is no limit.
        save_s: Virtual seconds that a checkpoint takes.
        max_failures: How often each trial is retried.

    Attributes:
        log: (name of the trial, time, decision) of each result; trials are named t0, t1, ...
        reached: {name of the trial: highest time}.
        trials: All trials.
        view: What the scheduler sees.
    """

    def __init__(
        self,
        scheduler: TrialScheduler,
        curve: Curve,
        *,
        count: int,
        slots: int = 1,
        limit: int = 0,
        save_s: float = 0.0,
        max_failures: int = 0,
    ) -> None:
        searcher = BasicVariantGenerator()
        searcher.setup({"number": tune.grid_search(list(range(count)))}, 1)
        self._executor = SimulatedExecutor(
            lambda config: _OnCurve(curve, config["number"]),
            num_cpus=slots,
            save_s=save_s,
            keep_in_memory=True,
        )
        self._watched = _Watched(scheduler)
        self._controller = Controller(
            make_settings(max_concurrent_trials=limit or None, max_failures=max_failures),
            searcher,
            self._watched,
            NoopStopper(),
            self._executor,
            self._executor.clock,
        )
        clock, forget = self._executor.clock, self._executor.forget_checkpoint
        log = SimulationLog(clock, forget, "score", None)
        self._loop = ExperimentLoop(self._controller, Ports(log, log, log, self._executor))
        self._watched.record = self._controller.record
        self._executor.open(WorkerProgram(Trainable))
        self.log = self._watched.log
        self.reached = self._watched.reached
        self.trials = self._controller.trials
        self.view = self._controller._deciders.view

    @property
    def scheduler(self) -> TrialScheduler:
        """The scheduler, which a test may exchange between two steps."""
        return self._watched.scheduler

    @scheduler.setter
    def scheduler(self, scheduler: TrialScheduler) -> None:
        self._watched.scheduler = scheduler

    @property
    def running(self) -> list[Trial]:
        workers = self._controller.record.workers
        return [each for each in self.trials if workers.of_trial(each) is not None]

    def run(self, max_steps: int = 10_000) -> CurveRun:
        """Runs to the end."""
        for _ in range(max_steps):
            if not self.step():
                return self
        raise AssertionError(
            f"no end after {max_steps} steps; alive: {self.view.get_live_trials()}"
        )

    def step(self) -> bool:
        """Takes the run on to the next result; returns whether there is one."""
        count = len(self.log)
        while len(self.log) == count and not self._controller.is_done:
            self._loop._turn()
        if self._controller.error is not None:
            raise self._controller.error
        return len(self.log) > count

    def settle(self) -> None:
        """Takes the run on until no trial is being saved."""
        while any(map(self.view.is_saving, self.trials)):
            self._loop._turn()

    def fail(self, trial: Trial) -> None:
        """Lets the worker of a running trial die."""
        worker = self._controller.record.workers.of_trial(trial)
        assert worker is not None
        failures = trial.num_failures
        self._executor.stop_worker(worker.worker_id, "the test says so", force=True)
        while trial.num_failures == failures:
            self._loop._turn()


class _OnCurve:
    """A simulated trainable."""

    def __init__(self, curve: Curve, number: int) -> None:
        self._curve = curve
        self._number = number
        self._time = 0

    def step(self) -> dict[str, Any]:
        self._time += 1
        score = self._curve(self._number, self._time)
        return {"score": score} if score is not None else {RESULT_DUPLICATE: True, "done": True}

    def get_state(self) -> int:
        return self._time

    def set_state(self, state: int) -> None:
        self._time = state


class _Watched(TrialScheduler):
    """Passes all on to a scheduler, sees what it does, and records its decisions."""

    record: Any

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler
        self.log: list[tuple[str, int, str]] = []
        self.reached: dict[str, int] = {}

    @property
    def metric(self) -> str | None:
        return self.scheduler.metric

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self.scheduler.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self.scheduler.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self.scheduler.on_trial_remove(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.scheduler.on_trial_complete(tune_controller, trial, result)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision = self.scheduler.on_trial_result(tune_controller, trial, result)
        name, time = f"t{tune_controller.get_trials().index(trial)}", result["training_iteration"]
        self.log.append((name, time, decision))
        self.reached[name] = max(self.reached.get(name, 0), time)
        self._check(tune_controller)
        return decision

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        trial = self.scheduler.choose_trial_to_run(tune_controller)
        again = self.scheduler.choose_trial_to_run(tune_controller)
        assert again is trial, "choose_trial_to_run must be idempotent"
        self._check(tune_controller)
        return trial

    def _check(self, view: Any) -> None:
        for request in view.requests:
            worker = self.record.workers.of_trial(request.trial)
            is_at_rest = worker is None or self.record.is_saving(request.trial)
            assert is_at_rest, "only a trial that waits is stopped"
