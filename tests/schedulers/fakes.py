"""Trials without a run, and what a scheduler sees of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.trial.status import Status
from localtune.trial.trial import Trial


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

    def next_waiting_trial(self) -> Trial | None:
        live = self.get_live_trials()
        pending = [each for each in live if each.status is Status.PENDING]
        paused = [each for each in live if each.status is Status.PAUSED]
        return next(iter(pending + paused), None)

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
