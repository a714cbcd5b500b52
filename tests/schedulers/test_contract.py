"""Every scheduler keeps the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from localtune.schedulers import (
    PB2,
    ASHAScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    TrialScheduler,
)
from localtune.schedulers.resource_changing_scheduler import (
    DistributeResources,
    DistributeResourcesToTopJob,
)
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.sample import uniform
from localtune.testing.scheduler_contract import PROBLEMS, SchedulerContract


class TestFIFO(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return FIFOScheduler()


class TestASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(max_t=20, reduction_factor=3)


class TestASHAWithBracketsAndTime(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(
            "time_total_s", max_t=20, reduction_factor=2, brackets=3, stop_last_trials=False
        )


class TestASHAWithPromotion(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(max_t=20, reduction_factor=2, brackets=2, type="promotion")


class TestPASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PASHAScheduler(max_t=20, reduction_factor=2)


class TestHyperBand(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandScheduler(max_t=9)


class TestHyperBandThatStopsNobodyAtTheEnd(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandScheduler(
            "time_total_s", max_t=16, reduction_factor=2, stop_last_trials=False
        )


class Model(BasicVariantGenerator):
    """Stands for BOHB: sees who pauses and who goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: set[str] = set()

    def on_pause(self, trial_id: str) -> None:
        self.paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        self.paused.discard(trial_id)


class TestHyperBandForBOHB(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandForBOHB(max_t=9)

    def make_search_alg(self) -> Any:
        return Model()


class TestMedian(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return MedianStoppingRule(grace_period=3, min_samples_required=2)


class TestMedianSoft(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return MedianStoppingRule(
            grace_period=2, min_samples_required=2, min_time_slice=2, hard_stop=False
        )


class TestPBT(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            perturbation_interval=2,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
            require_attrs=False,
        )


class TestPBTThatRequiresItsKeys(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            "training_iteration",
            perturbation_interval=3,
            quantile_fraction=0.5,
            hyperparam_mutations={"lr": [0.1, 0.2, 0.4], "momentum": uniform(0.1, 0.9)},
            log_config=False,
        )


class TestPBTInStep(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            perturbation_interval=2,
            burn_in_period=3,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
            synch=True,
        )


class TestPB2(SchedulerContract):
    # Each exploit fits a Gaussian process.
    problems: ClassVar[Any] = {name: PROBLEMS[name] for name in PROBLEMS if name != "many"}
    random_runs = 10

    def make_scheduler(self) -> TrialScheduler:
        return PB2(perturbation_interval=9, hyperparam_bounds={"lr": [0.0, 1.0]}, log_config=False)


class TestReplay(SchedulerContract):
    most_trials = 1

    @pytest.fixture(autouse=True)
    def _policy(self, tmp_path: Path) -> None:
        self.path = tmp_path / "pbt_policy_one.txt"
        rows = [
            ["one@perturbed[lr=0.2]", "two", 3, 3, {"lr": 0.1}, {"lr": 0.2}],
            ["one@perturbed[lr=0.3]", "one", 6, 6, {"lr": 0.2}, {"lr": 0.3}],
        ]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTrainingReplay(self.path)


class TestResourceChanging(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler()


class TestResourceChangingOverASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(
            ASHAScheduler(max_t=20, reduction_factor=3, type="promotion"),
            DistributeResources(add_bundles=True),
        )


class TestResourceChangingOverHyperBand(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(HyperBandScheduler(max_t=9), DistributeResources())


class TestResourceChangingOverPBT(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        base = PopulationBasedTraining(
            perturbation_interval=2,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
        )
        return ResourceChangingScheduler(base, DistributeResources(increase_by_times=1))


class TestResourcesToTopJob(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(None, DistributeResourcesToTopJob(increase_by_times=2))
