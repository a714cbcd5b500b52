from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import localtune as tune
from localtune.error import TuneError
from localtune.execution.simulated_host import SimulatedCrash
from localtune.schedulers import FIFOScheduler, TrialScheduler
from localtune.search import Searcher
from localtune.testing.simulation import simulate
from localtune.trial.status import Status
from localtune.trial.trial import Trial


class Climb:
    """Climbs towards ``x``; its step number ``crash_at`` kills the worker."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        if self.steps == self.config.get("crash_at"):
            raise SimulatedCrash
        x = self.config["x"]
        return {"score": x * (1 - 0.5**self.steps), "time_this_iter_s": 1.0 + x}

    def get_state(self) -> int:
        return self.steps

    def set_state(self, state: int) -> None:
        self.steps = state


SPACE = {"x": tune.uniform(0.0, 1.0)}


def climb(**options: Any) -> Any:
    options.setdefault("stop", {"training_iteration": 5})
    space = options.pop("param_space", SPACE)
    return simulate(Climb, space, metric="score", mode="max", validate=True, **options)


class Random(FIFOScheduler):
    """Decides by chance."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self._rng.choice(
            [self.CONTINUE, self.CONTINUE, self.CONTINUE, self.PAUSE, self.STOP]
        )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), num_cpus=st.integers(1, 5), reuse=st.booleans())
def test_the_same_seed_gives_the_same_events(seed: int, num_cpus: int, reuse: bool) -> None:
    options = {"num_samples": 6, "num_cpus": num_cpus, "seed": seed, "reuse_actors": reuse}
    first, second = (climb(scheduler=Random(), **options) for _ in range(2))
    assert first.events == second.events
    assert [trial.config for trial in first.trials] == [trial.config for trial in second.trials]
    assert all(trial.status is Status.TERMINATED for trial in first.trials)


class NearBest(Searcher):
    """Draws near the best value so far."""

    def __init__(self) -> None:
        super().__init__()
        self.best = (0.0, 0.5)
        self.suggested: dict[str, float] = {}

    def suggest(self, trial_id: str) -> dict[str, Any]:
        x = random.Random(trial_id).gauss(self.best[1], 0.1)
        self.suggested[trial_id] = min(max(x, 0.0), 1.0)
        return {"x": self.suggested[trial_id]}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        assert result is not None
        self.best = max(self.best, (result["score"], self.suggested[trial_id]))

    def save(self, checkpoint_path: str) -> None:
        raise AssertionError("a simulation writes no files")

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError("a simulation reads no files")


def test_a_search_that_learns_is_repeated_too() -> None:
    first, second = (
        climb(search_alg=NearBest(), param_space={}, num_samples=20, num_cpus=3) for _ in range(2)
    )
    assert first.events == second.events
    assert first.best_value > 0.5


def test_another_seed_gives_other_events() -> None:
    assert climb(num_samples=3, seed=1).events != climb(num_samples=3, seed=2).events


def test_events_are_in_the_order_of_time() -> None:
    times = [event.time_s for event in climb(num_samples=8, num_cpus=3).events]
    assert times == sorted(times)


def test_the_result_sums_the_run_up() -> None:
    result = climb(param_space={"x": tune.grid_search([0.5, 1.0])}, num_cpus=1)
    low, high = result.trials
    assert (low.iterations, high.iterations, result.iterations) == (5, 5, 10)
    assert low.best_value == 0.5 * (1 - 0.5**5)
    assert result.best_trial == high
    assert result.best_value == high.best_value == 1 - 0.5**5
    assert result.trained_s == result.elapsed_s == 5 * 1.5 + 5 * 2.0
    # The first result of the second trial is better than the last one of the first.
    assert [each.iterations for each in result.improvements] == list(range(1, 11))
    assert [each.trial_id for each in result.improvements[4:6]] == [low.trial_id, high.trial_id]
    assert result.best_value_at(1.0) is None
    assert result.best_value_at(1.5) == 0.25
    assert result.best_value_at(1e9) == result.best_value
    assert [event.what for event in result.events_of(low.trial_id)] == [
        "created",
        "started",
        *["result"] * 5,
        "completed",
    ]


def test_trials_share_the_resources() -> None:
    for num_cpus, elapsed_s in ((1, 40.0), (2, 20.0), (4, 10.0)):
        result = climb(param_space={"x": 1.0}, num_samples=4, num_cpus=num_cpus)
        assert result.elapsed_s == elapsed_s
    wide = climb(param_space={"x": 1.0}, num_samples=4, num_cpus=4, resources_per_trial={"cpu": 2})
    assert wide.elapsed_s == 20.0
    limited = climb(param_space={"x": 1.0}, num_samples=4, num_cpus=4, max_concurrent_trials=1)
    assert limited.elapsed_s == 40.0
    gpus = climb(
        param_space={"x": 1.0},
        num_samples=4,
        num_cpus=4,
        num_gpus=1,
        resources_per_trial={"cpu": 1, "gpu": 0.5},
    )
    assert gpus.elapsed_s == 20.0


def test_a_time_budget_is_virtual() -> None:
    result = climb(param_space={"x": 1.0}, num_samples=4, num_cpus=1, time_budget_s=15.0)
    assert result.elapsed_s == 15.0
    assert result.iterations == 7


def test_more_than_the_start_takes_time() -> None:
    result = climb(param_space={"x": 1.0}, num_cpus=1, start_s=100.0)
    assert result.elapsed_s == 110.0


def test_a_crashed_trial_is_retried_from_its_checkpoint_as_often_as_allowed() -> None:
    result = climb(
        param_space={"x": 1.0, "crash_at": 4},
        max_failures=2,
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2),
    )
    assert result.trials[0].status is Status.ERROR
    assert "SIGKILL" in str(result.trials[0].error)
    iterations = [event.iteration for event in result.events if event.what == "result"]
    assert iterations == [1, 2, 3, 3, 3]
    kinds = Counter(event.what for event in result.events)
    assert (kinds["retried"], kinds["restored"], kinds["failed"]) == (2, 2, 1)


class PauseEach(FIFOScheduler):
    """Lets trials take turns."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.PAUSE


@pytest.mark.parametrize("reuse", [False, True])
def test_a_paused_trial_goes_on_where_it_was(reuse: bool) -> None:
    result = climb(scheduler=PauseEach(), num_samples=3, num_cpus=1, reuse_actors=reuse)
    for trial in result.trials:
        events = result.events_of(trial.trial_id)
        assert [event.iteration for event in events if event.what == "result"] == [1, 2, 3, 4, 5]
        assert [event.what for event in events].count("restored") == 4
    assert result.trained_s == pytest.approx(result.elapsed_s)


class TakeOver(FIFOScheduler):
    """After two results of each, the worse trial goes on from the better one."""

    clones_trials = True

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Trial, float]] = {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if result["training_iteration"] != 2 or trial.trial_id in self.seen:
            return self.CONTINUE
        self.seen[trial.trial_id] = (trial, result["score"])
        if len(self.seen) < 2:
            return self.PAUSE
        donor, _ = next(iter(self.seen.values()))
        config = {**donor.config, "x": 0.75}
        tune_controller.clone_trial(trial, donor, config=config, experiment_tag="clone")
        return self.NOOP


def test_a_clone_carries_the_state_of_its_donor_over() -> None:
    result = climb(
        scheduler=TakeOver(), param_space={"x": tune.grid_search([1.0, 0.5])}, num_cpus=1
    )
    clone = result.trials[1]
    assert clone.config == {"x": 0.75}
    assert clone.last_result["score"] == 0.75 * (1 - 0.5**5)
    kinds = [event.what for event in result.events_of(clone.trial_id)]
    assert kinds.index("changed") < kinds.index("restored")
    values = [
        (event.iteration, event.value)
        for event in result.events_of(clone.trial_id)
        if event.what == "result"
    ]
    assert values[:3] == [(1, 0.25), (2, 0.375), (3, 0.75 * (1 - 0.5**3))]


class Broken(TrialScheduler):
    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        raise RuntimeError("broken")


def test_a_run_that_fails_raises() -> None:
    with pytest.raises(TuneError, match="The scheduler raised RuntimeError: broken"):
        climb(scheduler=Broken())


def test_no_file_is_written_and_no_setting_stays(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = climb(scheduler=PauseEach(), num_samples=2)
    assert result.iterations == 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_samples": 0}, "num_samples must be"),
        ({"max_concurrent_trials": -1}, "max_concurrent_trials must be"),
        ({"scheduler": 5}, "scheduler must be"),
        ({"start_s": -1}, "seconds that Construct takes"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        climb(**options)
