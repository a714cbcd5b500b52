"""Runs without processes in which trials are saved for a while, fail, are retried, or end."""

from __future__ import annotations

import pickle
import random

from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.fakes import FakeRun


class ChaosRun(FakeRun):
    """A run whose trials are paused later than their scheduler says so, and may fail at any time.

    Args:
        rng: Decides what happens.
        failing: How likely a turn is a failure.
        restores: How likely the run is taken up again from the scheduler's pickled state.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self, *args, rng: random.Random, failing: float = 0.1, restores: float = 0.0, **options
    ) -> None:
        super().__init__(*args, **options)
        self._rng = rng
        self._failing = failing
        self._restores = restores
        self._saving: list[Trial] = []

    def step(self) -> bool:
        self.check()
        # A run does it right after each hook: nobody fails in between.
        self._carry_out_stops()
        if self._rng.random() < self._restores:
            self.scheduler = pickle.loads(pickle.dumps(self.scheduler))
        if self._running and self._rng.random() < self._failing:
            trial = self._rng.choice(self._running)
            if trial in self._saving:
                self._saving.remove(trial)
            self.fail(trial, is_retried=self._rng.random() < 0.5)
            return True
        return super().step()

    def check(self) -> None:
        assert not any(trial.is_finished() for trial in self._running)

    def _train(self, trial: Trial) -> None:
        if trial in self._saving:
            self._saving.remove(trial)
            self._running.remove(trial)
            trial.status = Status.PAUSED
            return
        super()._train(trial)
        if trial.status is Status.PAUSED:
            trial.status = Status.RUNNING
            self._running.append(trial)
            self._saving.append(trial)

    def _carry_out_stops(self) -> None:
        for trial in [each for each in self.controller.stops if each in self._running]:
            assert trial in self._saving, "only who waits is stopped"
            self._saving.remove(trial)
            self._complete(trial)
        super()._carry_out_stops()
