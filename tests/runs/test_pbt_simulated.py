"""Population based training in whole runs, in virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest

import localtune as tune
from localtune.execution.simulated_host import SimulatedCrash
from localtune.schedulers import PopulationBasedTraining
from localtune.testing.simulation import simulate
from localtune.testing.simulation_result import SimulationResult
from localtune.trial.status import Status
from tests.schedulers.population_runs import Climbing, MovingOptimum


def make_pbt(**options: Any) -> PopulationBasedTraining:
    arguments: dict[str, Any] = {
        "time_attr": "training_iteration",
        "perturbation_interval": 3,
        "hyperparam_mutations": {"rate": tune.uniform(0, 1)},
        **options,
    }
    return PopulationBasedTraining(**arguments)


def run(make: Any, scheduler: Any, **options: Any) -> SimulationResult:
    arguments: dict[str, Any] = {
        "param_space": {"rate": tune.uniform(0, 1)},
        "num_samples": 8,
        "validate": True,
        "save_s": 0.1,
        **options,
    }
    return simulate(make, metric="score", mode="max", scheduler=scheduler, **arguments)


def last_scores(result: SimulationResult) -> list[float]:
    return [trial.last_result["score"] for trial in result.trials]


@pytest.mark.parametrize("synch", [False, True])
@pytest.mark.parametrize("num_cpus", [1, 3, 8])
@pytest.mark.parametrize("reuse", [False, True])
def test_each_trial_comes_to_its_end_and_some_are_cloned(
    synch: bool, num_cpus: int, reuse: bool
) -> None:
    result = run(Climbing, make_pbt(synch=synch), num_cpus=num_cpus, reuse_actors=reuse)
    assert [trial.status for trial in result.trials] == [Status.TERMINATED] * 8
    assert [trial.last_result["training_iteration"] for trial in result.trials] == [12] * 8
    assert sum(event.what == "changed" for event in result.events) >= 1
    assert not [event.what for event in result.events if event.what.startswith("warning")]


@pytest.mark.parametrize("synch", [False, True])
def test_a_population_that_learns_beats_one_that_does_not(synch: bool) -> None:
    steps = {"rate": tune.uniform(0, 1), "steps": 60}
    gains = []
    for seed in range(3):
        options: dict[str, Any] = {"param_space": steps, "seed": seed, "num_cpus": 8}
        alone = run(MovingOptimum, make_pbt(quantile_fraction=0, synch=synch), **options)
        together = run(MovingOptimum, make_pbt(synch=synch), **options)
        assert {trial.iterations for trial in alone.trials} == {60}
        gains.append(max(last_scores(together)) / max(last_scores(alone)))
    assert min(gains) > 1.1, gains


def test_equal_seeds_give_equal_runs() -> None:
    first, second = (run(Climbing, make_pbt(), num_cpus=3, seed=4) for _ in range(2))
    assert first.events == second.events
    assert first.events != run(Climbing, make_pbt(), num_cpus=3, seed=5).events


@pytest.mark.parametrize("synch", [False, True])
def test_trials_take_turns_when_not_all_can_run(synch: bool) -> None:
    result = run(Climbing, make_pbt(synch=synch), num_cpus=2)
    reached = dict.fromkeys((trial.trial_id for trial in result.trials), 0)
    for event in result.events:
        if event.what == "result":
            assert event.iteration is not None
            reached[event.trial_id] = event.iteration
            alive = [at for at in reached.values() if at < 12]
            assert not alive or max(alive) - min(alive) <= 3 + 3


class Failing(Climbing):
    """Fails, dies, ends early and gives no numbers, as its config and its past say."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._rng = random.Random(config["rate"])

    def step(self) -> dict[str, Any]:
        draw = self._rng.random()
        if draw < 0.04:
            raise ValueError("no luck")
        if draw < 0.08:
            raise SimulatedCrash
        result = super().step()
        if draw < 0.12:
            return {**result, "done": True}
        return {**result, "score": float("nan")} if draw < 0.16 else result


@pytest.mark.parametrize("synch", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_all_trials_end_when_some_fail_or_end(synch: bool, seed: int) -> None:
    result = run(
        Failing,
        make_pbt(synch=synch),
        seed=seed,
        num_samples=10,
        num_cpus=1 + seed % 4,
        max_failures=seed % 3,
        max_concurrent_trials=None if seed % 2 else 4,
        reuse_actors=seed % 5 == 0,
    )
    assert len(result.trials) == 10
    assert all(trial.status.is_final for trial in result.trials)
    assert not [event.what for event in result.events if event.what.startswith("warning")]


def test_missing_keys_are_drawn_for_each_trial() -> None:
    result = run(Climbing, make_pbt(), param_space={"steps": 2})
    rates = [trial.config["rate"] for trial in result.trials]
    assert len(set(rates)) == 8 and all(0 <= rate < 1 for rate in rates)


class Overfitting(Climbing):
    """Is best after 6 steps, with any rate."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        return {**result, "score": -abs(self.steps - 6) + self.config["rate"]}


@pytest.mark.parametrize("num_cpus", [1, 4])
@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_a_run_ends_though_the_best_scores_lie_behind(num_cpus: int, fraction: float) -> None:
    result = run(
        Overfitting,
        make_pbt(quantile_fraction=fraction),
        num_samples=5,
        num_cpus=num_cpus,
        stop=LimitOfResults(400),
    )
    assert [trial.last_result["training_iteration"] for trial in result.trials] == [12] * 5


class LimitOfResults(tune.Stopper):
    """Ends a run that does not end by itself."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._left -= 1
        return False

    def stop_all(self) -> bool:
        return self._left < 0
