"""Each scheduler, searcher and stopper in a small run with worker processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
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
from localtune.search import BasicVariantGenerator, ConcurrencyLimiter, Repeater
from localtune.search.bohb import TuneBOHB
from localtune.search.optuna import OptunaSearch
from localtune.stopper import (
    CombinedStopper,
    DictStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
    TrialTimeoutStopper,
)
from tests.small_runs import fit, processes, rows, statuses

STEPS = 4
COUNT = 6


class Growing(tune.Trainable):
    """Its score is ``config["x"]`` times its steps."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        resources = self.trial_resources
        assert resources is not None
        return {
            "score": self.config["x"] * self.count,
            "count": self.count,
            "cpus": resources.required_resources["CPU"],
            "done": self.count >= STEPS,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]


# Good ones first: each trial is worse than those before it.
FALLING = {"x": tune.grid_search([float(x) for x in range(COUNT, 0, -1)])}


def run(path: Path, param_space: Any = FALLING, **options: Any) -> Any:
    """A run on two slots; all trials must end in good order."""
    grid = fit(
        Growing, path, param_space, metric="score", mode="max", executor=processes(), **options
    )
    assert set(statuses(grid)) <= {"TERMINATED"}
    return grid


def iterations(grid: Any) -> list[int]:
    """How far the trials came."""
    return [(result.metrics or {}).get("training_iteration", 0) for result in grid]


# -- schedulers ------------------------------------------------------------------------------------

ITERATION = "training_iteration"


@pytest.mark.parametrize(
    "scheduler",
    [
        ASHAScheduler(max_t=STEPS, reduction_factor=2),
        ASHAScheduler(max_t=STEPS, reduction_factor=2, type="promotion"),
        PASHAScheduler(max_t=STEPS, reduction_factor=2),
        HyperBandScheduler(max_t=STEPS, reduction_factor=2),
        HyperBandForBOHB(max_t=STEPS, reduction_factor=2),
        MedianStoppingRule(ITERATION, grace_period=1, min_samples_required=2),
    ],
    ids=["asha", "promotion", "pasha", "hyperband", "bohb", "median"],
)
def test_a_scheduler_that_saves_time_keeps_the_best_and_stops_others(
    tmp_path: Path, scheduler: TrialScheduler
) -> None:
    reached = iterations(run(tmp_path, scheduler=scheduler))
    assert len(reached) == COUNT
    assert reached[0] == max(reached)
    assert min(reached) >= 1
    assert sum(reached) < COUNT * STEPS


def test_fifo_lets_all_run_to_their_end(tmp_path: Path) -> None:
    assert iterations(run(tmp_path, scheduler=FIFOScheduler())) == [STEPS] * COUNT


@pytest.mark.parametrize(
    "scheduler",
    [
        PopulationBasedTraining(
            ITERATION, perturbation_interval=2, hyperparam_mutations={"x": tune.uniform(1, 9)}
        ),
        PB2(ITERATION, perturbation_interval=2, hyperparam_bounds={"x": [1.0, 9.0]}),
    ],
    ids=["pbt", "pb2"],
)
def test_a_population_takes_over_better_configs(tmp_path: Path, scheduler: TrialScheduler) -> None:
    grid = run(tmp_path, scheduler=scheduler, num_to_keep=4)
    lines = Path(grid.experiment_path, "pbt_global.txt").read_text().splitlines()
    assert lines
    for line in lines:
        tag, donor_tag, *_, donor_config, _ = json.loads(line)
        assert tag != donor_tag
        assert donor_config["x"] > 1  # the worst one is nobody's donor


def test_a_policy_is_replayed(tmp_path: Path) -> None:
    policy = tmp_path / "pbt_policy_a.txt"
    policy.write_text(json.dumps(["0", "1", 2, 2, {"x": 3.0}, {"x": 5.0}]) + "\n")
    scheduler = PopulationBasedTrainingReplay(str(policy))
    (result,) = grid = run(tmp_path, {"x": 1.0}, scheduler=scheduler)
    assert iterations(grid) == [STEPS]
    assert [row["score"] for row in rows(result)] == [3.0, 6.0, 15.0, 20.0]


@pytest.mark.parametrize("allocate", [DistributeResources(), DistributeResourcesToTopJob()])
def test_a_trial_alone_gets_all_cpus(tmp_path: Path, allocate: Any) -> None:
    scheduler = ResourceChangingScheduler(FIFOScheduler(), allocate)
    (result,) = run(tmp_path, {"x": 1}, scheduler=scheduler)
    seen = [(row["count"], row["cpus"]) for row in rows(result)]
    assert seen == [(1, 1), (2, 2), (3, 2), (4, 2)]


# -- searchers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "different"),
    [
        (lambda: BasicVariantGenerator(random_state=1), COUNT),
        (lambda: OptunaSearch(seed=1), COUNT),
        (lambda: TuneBOHB(seed=1), COUNT),
        (lambda: ConcurrencyLimiter(OptunaSearch(seed=1), max_concurrent=2, batch=True), COUNT),
        (lambda: Repeater(OptunaSearch(seed=1), repeat=2), COUNT // 2),
    ],
    ids=["random", "optuna", "bohb", "limiter", "repeater"],
)
def test_a_searcher_chooses_all_configurations(
    tmp_path: Path, make: Callable[[], Any], different: int
) -> None:
    grid = run(tmp_path, {"x": tune.uniform(1, 2)}, search_alg=make(), num_samples=COUNT)
    assert iterations(grid) == [STEPS] * COUNT
    chosen = {result.config["x"] for result in grid}
    assert len(chosen) == different
    assert all(1 <= x <= 2 for x in chosen)


def test_bohb_and_its_searcher_work_together(tmp_path: Path) -> None:
    grid = run(
        tmp_path,
        {"x": tune.uniform(1, 2)},
        search_alg=TuneBOHB(seed=1),
        scheduler=HyperBandForBOHB(max_t=STEPS, reduction_factor=2),
        num_samples=COUNT,
    )
    assert len(grid) == COUNT
    assert sum(iterations(grid)) < COUNT * STEPS


# -- stoppers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stopper", "reached"),
    [
        (NoopStopper(), STEPS),
        (MaximumIterationStopper(3), 3),
        (DictStopper({"count": 2}), 2),
        (FunctionStopper(lambda trial_id, result: bool(result["count"] >= 2)), 2),
        (CombinedStopper(MaximumIterationStopper(3), DictStopper({"score": 2})), 2),
        (TrialPlateauStopper("cpus", num_results=2, grace_period=2), 2),
        (TrialTimeoutStopper(1e-6), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_stopper_ends_each_trial(tmp_path: Path, stopper: Stopper, reached: int) -> None:
    grid = run(tmp_path, {"x": tune.grid_search([1, 1, 1])}, stop=stopper)
    assert iterations(grid) == [reached] * 3


@pytest.mark.parametrize(
    "stopper",
    [ExperimentPlateauStopper("cpus", top=2), TimeoutStopper(1e-6)],
    ids=lambda value: type(value).__name__,
)
def test_a_stopper_ends_the_run(tmp_path: Path, stopper: Stopper) -> None:
    grid = run(tmp_path, stop=stopper)
    assert sum(iterations(grid)) < COUNT * STEPS
