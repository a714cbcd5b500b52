"""Trials of a population without a run, and simulated trainables for it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.schedulers.base import TrialScheduler
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.fakes import FakeController


class RecordingController(FakeController):
    """Records the requests of a scheduler.

    Attributes:
        saved: Ids of the trials to save.
        clones: (id, id of the donor, config, tag).
        saving: Ids of the trials whose checkpoint is being written.
    """

    def __init__(self, trials: Iterable[Trial]) -> None:
        super().__init__()
        self.trials.extend(trials)
        self.saved: list[str] = []
        self.saving: set[str] = set()
        self.clones: list[tuple[str, str, dict[str, Any], str]] = []

    def save_trial(self, trial: Trial) -> None:
        self.saved.append(trial.trial_id)

    def is_saving(self, trial: Trial) -> bool:
        return trial.trial_id in self.saving

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        self.clones.append((trial.trial_id, donor.trial_id, config, experiment_tag))

    def carry_out(self) -> None:
        """Carries out the requests: saves and clones."""
        by_id = {trial.trial_id: trial for trial in self.trials}
        for trial_id in self.saved:
            save(by_id[trial_id], by_id[trial_id].last_result.get("training_iteration", 0))
        self.saved.clear()
        for trial_id, donor_id, config, tag in self.clones:
            latest = by_id[donor_id].checkpoints.latest
            assert latest is not None
            by_id[trial_id].start_point = StartPoint(latest, donor_id, 0)
            by_id[trial_id].set_config(config)
            by_id[trial_id].set_experiment_tag(tag)
            by_id[trial_id].status = Status.PAUSED


def make_trials(*configs: dict[str, Any], status: Status = Status.RUNNING) -> list[Trial]:
    """Trials t0, t1, ... with the tags 0, 1, ..."""
    trials = []
    for number, config in enumerate(configs):
        trial = Trial("fake", trial_id=f"t{number}", config=config, experiment_tag=str(number))
        trial.status = status
        trials.append(trial)
    return trials


def save(trial: Trial, iteration: int) -> None:
    """Gives a trial a checkpoint."""
    metrics = {"training_iteration": iteration}
    path = f"/nowhere/{trial.trial_id}/{iteration}"
    trial.checkpoints.register(TrackedCheckpoint(Checkpoint(path), metrics, iteration))


def tell(
    scheduler: TrialScheduler,
    controller: RecordingController,
    trial: Trial,
    iteration: int,
    score: float,
    **more: Any,
) -> str:
    """Gives the scheduler a result; returns its decision."""
    result = {"training_iteration": iteration, "score": score, **more}
    decision = scheduler.on_trial_result(controller, trial, result)
    trial.last_result = result
    return decision


class Climbing:
    """Gains ``config["rate"]`` with each step, for ``config["steps"]`` steps (12)."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.height = 0.0
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        self.height += self.config["rate"]
        return {
            "score": self.height,
            "done": self.steps >= self.config.get("steps", 12),
            # In lockstep, whoever reports first would always be ahead.
            "time_this_iter_s": 1.0 + 0.2 * random.Random(self.config["rate"]).random(),
        }

    def get_state(self) -> Any:
        return self.height, self.steps

    def set_state(self, state: Any) -> None:
        self.height, self.steps = state


class MovingOptimum(Climbing):
    """Gains most with a rate that falls while it climbs: no constant rate is good."""

    def step(self) -> dict[str, Any]:
        height, best = self.height, 1.0 / (1.0 + self.steps / 10)
        result = super().step()
        self.height = height + max(0.0, 1.0 - 4.0 * abs(self.config["rate"] - best))
        return {**result, "score": self.height}
