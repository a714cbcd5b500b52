"""PB2: its observations, its suggestions, and its search for a moving optimum."""

from __future__ import annotations

import importlib.util
import pickle
import random
from typing import Any, ClassVar

import numpy as np
import pytest

from localtune.error import ExtraMissingError, TuneError
from localtune.schedulers import PB2, TrialScheduler
from localtune.schedulers.pb2 import import_pb2_dependencies
from localtune.schedulers.pb2_model import IntervalStart, Observation, suggest, upper_bound
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.testing.scheduler_contract import PROBLEMS, SchedulerContract
from localtune.testing.simulation import simulate
from localtune.trial.trial import Trial
from tests.heavy import long_but
from tests.schedulers.population_runs import Climbing, RecordingController, make_trials, save, tell

pytestmark = pytest.mark.slow

BOUNDS = [(0.0, 10.0)]


def make_pb2(*, seed: int = 0, **options: Any) -> PB2:
    arguments: dict[str, Any] = {
        "time_attr": "training_iteration",
        "perturbation_interval": 2,
        "hyperparam_bounds": {"lr": [0, 10]},
        **options,
    }
    scheduler = PB2(**arguments)
    assert scheduler.set_search_properties("score", "max", seed=seed)
    return scheduler


def make_population(
    scheduler: PB2, *configs: dict[str, Any]
) -> tuple[RecordingController, list[Trial]]:
    trials = make_trials(*configs)
    controller = RecordingController(trials)
    for trial in trials:
        scheduler.on_trial_add(controller, trial)
    return controller, trials


# -- the model ----------------------------------------------------------------------------------


def observations(best: float, *, time: float = 0.0, count: int = 30) -> list[Observation]:
    """Gains that are the greater the nearer a value is to ``best``."""
    rng = random.Random(0)
    values = [rng.uniform(0, 10) for _ in range(count)]
    return [
        Observation(IntervalStart(time, 1.0, (value,)), -((value - best) ** 2)) for value in values
    ]


@pytest.mark.parametrize("best", [0.0, 3.0, 8.0, 10.0])
def test_the_suggestion_is_near_the_configuration_that_gained_most(best: float) -> None:
    (value,) = suggest(observations(best), [], 0.0, 1.0, BOUNDS, random.Random(0))
    assert abs(value - best) < 0.7


def test_old_observations_count_less() -> None:
    old, new = observations(2.0, time=0.0), observations(8.0, time=100.0)
    (value,) = suggest(old + new, [], 100.0, 1.0, BOUNDS, random.Random(0))
    assert abs(value - 8.0) < 1.0
    (value,) = suggest(old + new, [], 0.0, 1.0, BOUNDS, random.Random(0))
    assert abs(value - 2.0) < 1.0


def test_a_value_that_is_being_tried_promises_less_though_its_gain_is_not_known() -> None:
    places = np.linspace(0.0, 0.5, 12)
    rows = np.column_stack([np.zeros(12), np.zeros(12), places])
    gains = np.sin(12 * places)
    nobody, point = np.empty((0, 3)), np.array([[0.0, 0.0, 0.9]])
    alone, beside = upper_bound(rows, gains, nobody), upper_bound(rows, gains, point)
    assert beside(point)[0] < alone(point)[0] - 0.1


def test_without_observations_a_suggestion_is_random() -> None:
    draws = {
        suggest(observations(2.0, count=2), [], 0.0, 1.0, BOUNDS, random.Random(seed))
        for seed in range(20)
    }
    assert len(draws) == 20 and all(0 <= value <= 10 for (value,) in draws)


def test_suggestions_are_within_their_bounds_and_depend_on_the_seed_only() -> None:
    rows = [
        Observation(IntervalStart(at, at, (at % 3, 5.0)), (at * 7) % 5)
        for at in map(float, range(12))
    ]
    bounds = [(0.0, 2.0), (5.0, 5.0)]
    first = suggest(rows, [], 12.0, 3.0, bounds, random.Random(1))
    assert 0.0 <= first[0] <= 2.0 and first[1] == 5.0
    assert first == suggest(rows, [], 12.0, 3.0, bounds, random.Random(1))


# -- the scheduler ------------------------------------------------------------------------------


def exploited(scheduler: PB2, good: dict[str, Any], bad: dict[str, Any]) -> dict[str, Any]:
    """The config with which the bad trial goes on as the good one, after some results."""
    controller, trials = make_population(scheduler, good, bad)
    for iteration in (2, 4, 6):
        for trial, slope in zip(trials, (10, 1), strict=True):
            save(trial, iteration)
            trial.status = trial.RUNNING
            tell(scheduler, controller, trial, iteration, slope * iteration)
    assert controller.clones[-1][:2] == ("t1", "t0")
    return controller.clones[-1][2]


def test_a_clone_gets_a_value_within_the_bounds_and_keeps_the_rest() -> None:
    config = exploited(make_pb2(), {"lr": 3.0, "k": "good"}, {"lr": 1.0, "k": "bad"})
    assert 0 <= config["lr"] <= 10 and type(config["lr"]) is float
    assert config["k"] == "good"


def test_a_whole_number_stays_whole_and_within_the_bounds() -> None:
    for seed in range(5):
        scheduler = make_pb2(seed=seed, hyperparam_bounds={"n": [1.5, 3.5]})
        config = exploited(scheduler, {"n": 2}, {"n": 3})
        assert config["n"] in (2, 3) and type(config["n"]) is int


def test_a_custom_function_has_the_last_word() -> None:
    scheduler = make_pb2(custom_explore_fn=lambda config: {**config, "lr": 0.25})
    assert exploited(scheduler, {"lr": 3.0}, {"lr": 1.0})["lr"] == 0.25


def test_gains_are_per_unit_of_time_between_two_due_results() -> None:
    scheduler = make_pb2(quantile_fraction=0)
    controller, (trial,) = make_population(scheduler, {"lr": 3.0})
    for iteration, score in ((2, 1.0), (3, 9.0), (4, 5.0), (8, 7.0)):
        tell(scheduler, controller, trial, iteration, score)
    tell(scheduler, controller, trial, 10, float("nan"))
    tell(scheduler, controller, trial, 12, 1.0)
    assert scheduler.get_state()["_observations"] == [
        Observation(IntervalStart(2, 1.0, (3.0,)), 2.0),
        Observation(IntervalStart(4, 5.0, (3.0,)), 0.5),
    ]


def test_missing_keys_are_drawn_between_the_bounds() -> None:
    scheduler = make_pb2(hyperparam_bounds={"lr": [2, 3], "fixed": (4, 4)})
    _, (trial,) = make_population(scheduler, {})
    assert 2 <= trial.config["lr"] < 3 and trial.config["fixed"] == 4


def decisions(*, restores: bool) -> list[Any]:
    scheduler = make_pb2()
    controller, trials = make_population(scheduler, *({"lr": float(lr)} for lr in range(3)))
    for iteration in range(2, 14, 2):
        for number, trial in enumerate(trials):
            save(trial, iteration)
            trial.status = trial.RUNNING
            tell(scheduler, controller, trial, iteration, (number * 7 + iteration * 5) % 11)
            if restores:
                state = pickle.dumps(scheduler.get_state())
                scheduler = make_pb2(seed=99)
                scheduler.set_state(pickle.loads(state))
    return controller.clones


def test_a_restored_scheduler_decides_as_if_nothing_had_happened() -> None:
    undisturbed = decisions(restores=False)
    assert len(undisturbed) > 3
    assert decisions(restores=True) == undisturbed


def test_bounds_are_needed() -> None:
    with pytest.raises(TuneError, match="hyperparam_bounds"):
        PB2()


@pytest.mark.parametrize(
    "bounds", [[2, 1], [1], [1, 2, 3], "ab", 3, ["a", "b"], [0, float("inf")], {}]
)
def test_bounds_must_be_two_numbers_in_order(bounds: Any) -> None:
    with pytest.raises(ValueError, match=r"hyperparam_bounds\['lr'\]"):
        PB2(hyperparam_bounds={"lr": bounds})


def test_a_misspelt_key_is_found_before_the_run() -> None:
    with pytest.raises(ValueError, match="hyperparam_bounds has the key 'lrr'"):
        make_pb2(hyperparam_bounds={"lrr": [0, 1]}).check_run({"lr": 1}, BasicVariantGenerator())


def test_scikit_learn_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name)
    )
    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[pb2\]"):
        PB2(hyperparam_bounds={"lr": [0, 1]})
    with pytest.raises(ExtraMissingError, match="scikit-learn"):
        import_pb2_dependencies()


def test_bounds_may_be_nested_as_the_configuration_is() -> None:
    scheduler = make_pb2(
        hyperparam_bounds={"net": {"lr": [0, 10], "width": [4, 8]}, "decay": [0, 1]}
    )
    net = {"lr": 3.0, "width": 5, "act": "relu"}
    controller, (good, bad) = make_population(scheduler, {"net": net}, {"net": {"lr": 1.0}})
    assert 4 <= bad.config["net"]["width"] <= 8 and 0 <= bad.config["decay"] <= 1
    tell(scheduler, controller, good, 2, 10)
    save(good, 4)
    assert tell(scheduler, controller, bad, 2, 1) == TrialScheduler.NOOP
    ((_, _, config, tag),) = controller.clones
    assert config["net"]["act"] == "relu" and net == good.config["net"]
    assert 0 <= config["net"]["lr"] <= 10 and 0 <= config["decay"] <= 1
    assert config["net"]["width"] in (4, 5, 6, 7, 8)
    assert "width" in tag


def test_a_wrong_nested_bound_is_named_by_its_path() -> None:
    with pytest.raises(ValueError, match=r"hyperparam_bounds\['net/lr'\]"):
        PB2(hyperparam_bounds={"net": {"lr": [1]}})


# -- whole runs ---------------------------------------------------------------------------------


class Hill(Climbing):
    """Gains most with the rate 0.7; all trials begin with rates far from it."""

    def step(self) -> dict[str, Any]:
        height = self.height
        result = super().step()
        self.height = height + 1.0 - 2.0 * abs(self.config["rate"] - 0.7)
        return {**result, "score": self.height}


@pytest.mark.parametrize("synch", long_but([True], [False, True]))
def test_a_run_finds_a_rate_that_no_trial_began_with(synch: bool) -> None:
    result = simulate(
        Hill,
        {"rate": 0.05, "steps": 40},
        metric="score",
        mode="max",
        num_samples=4,
        scheduler=PB2(
            "training_iteration",
            perturbation_interval=2,
            hyperparam_bounds={"rate": [0, 1]},
            synch=synch,
        ),
        save_s=0.1,
        validate=True,
    )
    assert len(result.trials) == 4
    # With the rate they began with, the score would be -12.
    assert max(trial.last_result["score"] for trial in result.trials) > 10
    assert min(abs(trial.config["rate"] - 0.7) for trial in result.trials) < 0.15


def test_it_is_a_scheduler_that_clones() -> None:
    assert make_pb2().clones_trials and isinstance(make_pb2(), TrialScheduler)


# -- the suite of all -----------------------------------------------------------------------------


class TestPB2(SchedulerContract):
    # Each exploit fits a Gaussian process.
    problems: ClassVar[Any] = {name: PROBLEMS[name] for name in PROBLEMS if name != "many"}
    random_runs = 10

    def make_scheduler(self) -> TrialScheduler:
        return PB2(perturbation_interval=9, hyperparam_bounds={"lr": [0.0, 1.0]}, log_config=False)
