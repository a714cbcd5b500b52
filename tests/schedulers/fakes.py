"""A run without processes: trials, and a controller that carries out the requests of schedulers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.trial.status import Status
from localtune.trial.trial import Trial

# trial number, time -> metric; None is the end of the trial's own work
Curve = Callable[[int, int], "float | None"]


class FakeController:
    """A controller for schedulers that records requests for stops in ``stops``."""

    def __init__(self, count: int = 1) -> None:
        self.trials: list[Trial] = []
        self.stops: list[Trial] = []
        self.total_resources: Mapping[str, float] = {"CPU": 2}
        self.is_stuck = False
        self.search_alg: SearchAlgorithm = BasicVariantGenerator()
        self.search_alg.setup({}, count)

    def get_trials(self) -> list[Trial]:
        return self.trials

    def get_live_trials(self) -> list[Trial]:
        return [each for each in self.trials if not each.is_finished()]

    def stop_trial(self, trial: Trial) -> None:
        self.stops.append(trial)

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        raise NotImplementedError

    def save_trial(self, trial: Trial) -> None:
        raise NotImplementedError

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        raise NotImplementedError

    def is_saving(self, trial: Trial) -> bool:
        return False


def make_trial(number: int, status: Status = Status.PENDING) -> Trial:
    trial = Trial("fake", trial_id=f"t{number}")
    trial.status = status
    return trial


class FakeRun:
    """Runs trials step by step, in a fixed order, with checkpoints at each pause.

    Attributes:
        controller: What the scheduler sees.
        log: (trial id, time, decision) of each result.
        reached: {trial id: highest time}.
    """

    def __init__(
        self, scheduler: TrialScheduler, curve: Curve, *, count: int, slots: int = 1, limit: int = 0
    ) -> None:
        self.scheduler = scheduler
        self.controller = FakeController(count)
        self.log: list[tuple[str, int, str]] = []
        self.reached: dict[str, int] = {}
        self._curve = curve
        self._slots = slots
        self._limit = limit
        self._running: list[Trial] = []
        self._turn = 0

    def run(self, max_steps: int = 10_000) -> FakeRun:
        """Runs to the end."""
        for _ in range(max_steps):
            if not self.step():
                return self
        raise AssertionError(f"no end after {max_steps} steps; alive: {self._alive()}")

    def step(self) -> bool:
        """One result of one trial, or the creation of trials; False when all is over."""
        self._create()
        self._start()
        self._create()
        if not self._running:
            if not self._alive() and self.controller.search_alg.is_finished():
                return False
            self._unblock()
            return True
        trial = self._running[self._turn % len(self._running)]
        self._turn += 1
        self._train(trial)
        return True

    def fail(self, trial: Trial, *, is_retried: bool) -> None:
        """Lets a running trial fail."""
        self._running.remove(trial)
        self.scheduler.on_trial_error(self.controller, trial)
        trial.status = Status.PENDING if is_retried else Status.ERROR
        if is_retried:
            self.scheduler.on_trial_add(self.controller, trial)

    @property
    def running(self) -> list[Trial]:
        return self._running

    def _alive(self) -> list[Trial]:
        return self.controller.get_live_trials()

    def _can_create(self) -> bool:
        return not self.controller.search_alg.is_finished() and not (
            0 < self._limit <= len(self._alive())
        )

    def _create(self) -> None:
        while self._can_create() and not any(
            each.status is Status.PENDING for each in self._alive()
        ):
            assert self.controller.search_alg.next_suggestion() is not None
            trial = make_trial(len(self.controller.trials))
            self.controller.trials.append(trial)
            self.scheduler.on_trial_add(self.controller, trial)

    def _start(self) -> None:
        while len(self._running) < self._slots:
            trial = self.scheduler.choose_trial_to_run(self.controller)
            again = self.scheduler.choose_trial_to_run(self.controller)
            assert again is trial, "choose_trial_to_run must be idempotent"
            self._carry_out_stops()
            if trial is None:
                return
            assert trial.status in (Status.PENDING, Status.PAUSED)
            trial.status = Status.RUNNING
            self._running.append(trial)

    def _unblock(self) -> None:
        """Handles a run in which no trial runs and the scheduler has chosen none."""
        before = len(self._alive())
        self.controller.is_stuck = True
        self._start()
        self.controller.is_stuck = False
        assert self._running or self._can_create() or len(self._alive()) < before, "all wait"

    def _carry_out_stops(self) -> None:
        stops, self.controller.stops = self.controller.stops, []
        for trial in stops:
            if not trial.is_finished():
                assert trial not in self._running
                trial.status = Status.TERMINATED
                self.scheduler.on_trial_remove(self.controller, trial)

    def _train(self, trial: Trial) -> None:
        time = self.reached.get(trial.trial_id, 0) + 1
        value = self._curve(int(trial.trial_id[1:]), time)
        if value is None:
            self._complete(trial)
            return
        self.reached[trial.trial_id] = time
        result = {"training_iteration": time, "score": value}
        decision = self.scheduler.on_trial_result(self.controller, trial, result)
        self.log.append((trial.trial_id, time, decision))
        trial.last_result = result
        if decision == TrialScheduler.PAUSE:
            self._running.remove(trial)
            trial.status = Status.PAUSED
        elif decision == TrialScheduler.STOP:
            self._complete(trial)

    def _complete(self, trial: Trial) -> None:
        self._running.remove(trial)
        trial.status = Status.TERMINATED
        self.scheduler.on_trial_complete(self.controller, trial, trial.last_result)
