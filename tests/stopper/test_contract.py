"""Every stopper keeps the contract."""

from __future__ import annotations

from typing import Any

from localtune.stopper import (
    CombinedStopper,
    ExperimentPlateauStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
    TrialTimeoutStopper,
)
from localtune.stopper.coerce import as_stopper
from localtune.testing import ManualClock
from localtune.testing.stopper_contract import StopperContract


class TestNoop(StopperContract):
    def make_stopper(self) -> Stopper:
        return NoopStopper()


class TestMaximumIteration(StopperContract):
    def make_stopper(self) -> Stopper:
        return MaximumIterationStopper(4)


class TestTrialPlateau(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialPlateauStopper("nested/loss", num_results=3)


class TestTrialPlateauWithThreshold(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialPlateauStopper("loss", std=0.5, metric_threshold=2.0, mode="min")


class TestExperimentPlateau(StopperContract):
    watches_all_trials = True

    def make_stopper(self) -> Stopper:
        return ExperimentPlateauStopper("loss", top=4, patience=2)


class TestTimeout(StopperContract):
    def make_stopper(self) -> Stopper:
        return TimeoutStopper(10, ManualClock())


class TestTimeoutThatIsOver(StopperContract):
    def make_stopper(self) -> Stopper:
        return TimeoutStopper(0)


class TestTrialTimeout(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialTimeoutStopper(12)


class TestDict(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper({"training_iteration": 15, "nested": {"loss": 5.5}})


class TestFunction(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper(lambda trial_id, result: result.get("loss", 10.0) < 2.0)


def is_low(trial_id: str, result: dict[str, Any]) -> bool:
    return bool(result.get("loss", 10.0) < 2.0)


class TestCombined(StopperContract):
    watches_all_trials = True

    def make_stopper(self) -> Stopper:
        return CombinedStopper(
            MaximumIterationStopper(9),
            TrialPlateauStopper("loss"),
            CombinedStopper(ExperimentPlateauStopper("loss"), TrialTimeoutStopper(10)),
            as_stopper(is_low),
        )


class TestList(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper([MaximumIterationStopper(9), TrialPlateauStopper("loss")])
