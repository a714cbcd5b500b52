from __future__ import annotations

import builtins
import logging
import math
import pickle
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import localtune as tune
from localtune.error import ExtraMissingError, SearchSpaceError
from localtune.search.base import Searcher
from localtune.search.bohb import TuneBOHB
from localtune.testing.searcher_contract import SearcherContract

pytestmark = pytest.mark.slow


class TestTuneBOHB(SearcherContract):
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return TuneBOHB(**arguments)


SPACE = {
    "x": tune.uniform(-5, 5),
    "net": {"width": tune.randint(1, 9), "act": tune.choice(["relu", "tanh"])},
    "constant": 3,
}


def searcher(space: Any = SPACE, **options: Any) -> TuneBOHB:
    return TuneBOHB(space, **{"metric": "loss", "mode": "min", "seed": 1, **options})


def loss_of(config: dict[str, Any]) -> float:
    net = config["net"]
    return float((config["x"] - 2) ** 2 + abs(net["width"] - 7) + 3 * (net["act"] == "relu"))


def report(bohb: TuneBOHB, trial_id: str, budget: float, loss: float, reached: bool = True) -> None:
    info = {"budget": budget, "reached": reached}
    bohb.on_trial_result(trial_id, {"loss": loss, "hyperband_info": info})


def evaluate(bohb: TuneBOHB, count: int, *, sign: float = 1, first: int = 0) -> list[float]:
    """Losses of trials, one after the other, each on budget 1."""
    losses = []
    for number in range(first, first + count):
        config = bohb.suggest(str(number))
        assert config is not None
        losses.append(loss_of(config))
        report(bohb, str(number), 1, sign * losses[-1])
        bohb.on_trial_complete(str(number), {"loss": sign * losses[-1]})
    return losses


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_suggestions_have_the_shape_of_the_space_and_no_constants() -> None:
    config = searcher().suggest("a")
    assert config is not None
    assert config.keys() == {"x", "net"}
    assert isinstance(config["x"], float)
    assert isinstance(config["net"]["width"], int)
    assert config["net"]["act"] in ("relu", "tanh")


def test_all_values_come_from_their_domains() -> None:
    space = {
        "log": tune.loguniform(1e-4, 1),
        "q": tune.quniform(0, 1, 0.25),
        "qlog": tune.qlograndint(3, 99, 3),
        "int": tune.qrandint(0, 10, 2),
        "choice": tune.choice([{"k": tune.uniform(0, 1)}, None]),
    }
    bohb = searcher(space)
    for number in range(30):
        config = bohb.suggest(str(number))
        assert config is not None
        assert 1e-4 <= config["log"] <= 1
        assert config["q"] in (0, 0.25, 0.5, 0.75, 1)
        assert config["qlog"] % 3 == 0
        assert config["int"] in range(0, 11, 2)
        assert config["choice"] is None or 0 <= config["choice"]["k"] <= 1
        report(bohb, str(number), 1, config["log"])
    assert bohb._studies.keys() == {None, 1}, "the model was used"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_finds_better_configurations_than_chance(seed: int) -> None:
    by_model = evaluate(searcher(seed=seed), 60)
    by_chance = evaluate(searcher(seed=seed, bohb_config={"random_fraction": 1}), 60)
    assert mean(by_model[30:]) < 0.7 * mean(by_chance[30:])


def test_mode_max_turns_the_metric_round() -> None:
    up = evaluate(searcher(mode="max"), 40, sign=-1)
    assert up == evaluate(searcher(), 40)


def test_a_third_of_the_suggestions_is_random() -> None:
    bohb = searcher(bohb_config={"min_points_in_model": 1})
    evaluate(bohb, 103)
    asked = {budget: len(study.trials) for budget, (study, _) in bohb._studies.items()}
    by_model = asked[1.0] - len(bohb._losses[1.0])
    assert 55 <= by_model <= 80


def test_nothing_is_modelled_before_there_are_enough_observations() -> None:
    bohb = searcher(bohb_config={"random_fraction": 0})
    evaluate(bohb, 6)  # three parameters: four good ones, and two others
    assert bohb._studies.keys() == {None}
    evaluate(bohb, 1, first=6)
    assert bohb._studies.keys() == {None, 1}


def test_the_largest_budget_that_has_enough_observations_is_modelled() -> None:
    bohb = searcher(bohb_config={"random_fraction": 0, "min_points_in_model": 2})
    for number in range(9):
        bohb.suggest(str(number))
        report(bohb, str(number), 1, number)
    for number in range(4):
        report(bohb, str(number), 3, number)
    for number in range(3):
        report(bohb, str(number), 9, number)
    bohb._studies.clear()
    bohb.suggest("next")
    assert bohb._studies.keys() == {3}
    assert bohb._studies[3][1] == 4


def test_results_below_the_milestone_are_not_observations() -> None:
    bohb = searcher()
    bohb.suggest("a")
    report(bohb, "a", 9, 5.0, reached=False)
    assert not bohb._losses
    report(bohb, "a", 9, 4.0)
    report(bohb, "a", 9, 3.0)  # repeated after a failure
    assert bohb._losses == {9: {"a": 4.0}}


def test_a_trial_that_ends_early_counts_on_the_budget_that_it_was_on_its_way_to() -> None:
    bohb = searcher()
    bohb.suggest("a")
    report(bohb, "a", 9, 5.0, reached=False)
    bohb.on_trial_complete("a", {"loss": 2.0})
    assert bohb._losses == {9: {"a": 2.0}}


def test_with_another_scheduler_last_results_are_learnt_from() -> None:
    bohb = searcher(bohb_config={"random_fraction": 0})
    for number in range(9):
        bohb.suggest(str(number))
        bohb.on_trial_result(str(number), {"loss": 9.0})
        bohb.on_trial_complete(str(number), {"loss": float(number)})
    assert bohb._studies.keys() == {None, 0}


def test_nan_is_the_worst() -> None:
    bohb = searcher(mode="max", bohb_config={"random_fraction": 0})
    for number in range(9):
        bohb.suggest(str(number))
        report(bohb, str(number), 1, math.nan if number % 2 else number)
    assert bohb._losses[1]["1"] == math.inf
    assert bohb.suggest("next") is not None


def test_failed_trials_are_forgotten() -> None:
    bohb = searcher()
    bohb.suggest("a")
    bohb.on_trial_complete("a", error=True)
    assert not bohb._losses
    assert not bohb._values


def test_a_result_without_the_metric_is_no_observation() -> None:
    bohb = searcher()
    bohb.suggest("a")
    bohb.on_trial_complete("a", {"accuracy": 1})
    assert not bohb._losses


def test_a_converted_space_has_the_distributions_of_the_model() -> None:
    assert TuneBOHB.convert_search_space(SPACE) == {
        "x": FloatDistribution(-5, 5),
        "net/width": IntDistribution(1, 8),
        "net/act": CategoricalDistribution((0, 1)),
    }


def test_points_come_first_and_may_be_nested_or_flat() -> None:
    points = [
        {"x": 1.0, "net": {"width": 2, "act": "tanh"}},
        {"x": -1.0, "net/width": 3, "net/act": "relu"},
    ]
    bohb = searcher(points_to_evaluate=points)
    assert bohb.suggest("a") == {"x": 1.0, "net": {"width": 2, "act": "tanh"}}
    assert bohb.suggest("b") == {"x": -1.0, "net": {"width": 3, "act": "relu"}}
    assert bohb.suggest("c") is not None


def test_a_point_without_the_parameters_of_another_option_can_be_learnt_from() -> None:
    space = {"opt": tune.choice(["a", {"k": tune.uniform(0, 1)}])}
    bohb = searcher(
        space, points_to_evaluate=[{"opt": "a"}] * 9, bohb_config={"random_fraction": 0}
    )
    for number in range(9):
        assert bohb.suggest(str(number)) == {"opt": "a"}
        report(bohb, str(number), 1, number)
    assert bohb.suggest("next") is not None
    assert 1 in bohb._studies


def test_a_point_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"points_to_evaluate\[0\].*'y'"):
        searcher({"x": tune.uniform(0, 1)}, points_to_evaluate=[{"x": 0.5, "y": 1}])


def test_a_restored_searcher_suggests_the_same_configurations() -> None:
    first = searcher(points_to_evaluate=[{"x": 1.0, "net": {"width": 2, "act": "tanh"}}])
    evaluate(first, 25)
    first.suggest("paused")
    first.on_pause("paused")
    state = pickle.dumps(first.get_state())
    again = searcher(points_to_evaluate=[{"x": 1.0, "net": {"width": 2, "act": "tanh"}}])
    again.set_state(pickle.loads(state))
    assert evaluate(again, 15, first=25) == evaluate(first, 15, first=25)
    assert again._paused == {"paused"}


def test_the_seed_of_the_run_is_used_by_a_searcher_without_a_seed() -> None:
    def first(seed: int, own: int | None = None) -> Any:
        bohb = TuneBOHB(seed=own)
        assert bohb.set_search_properties("loss", "min", SPACE, seed=seed)
        return bohb.suggest("a")

    assert first(1) == first(1) != first(2)
    assert first(1, own=5) == first(2, own=5)


def test_paused_trials_do_not_count_for_max_concurrent() -> None:
    bohb = searcher(max_concurrent=2)
    assert bohb.suggest("a") is not None
    assert bohb.suggest("b") is not None
    assert bohb.suggest("c") is None
    bohb.on_pause("a")
    assert bohb.suggest("c") is not None
    assert bohb.suggest("d") is None
    bohb.on_unpause("a")
    bohb.on_trial_complete("b")
    assert bohb.suggest("d") is None
    bohb.on_trial_complete("a")
    assert bohb.suggest("d") is not None


def test_a_limiter_leaves_the_counting_to_it() -> None:
    bohb = searcher()
    assert bohb.set_max_concurrency(1) is True
    assert bohb.suggest("a") is not None
    assert bohb.suggest("b") is None


def test_a_space_of_its_own_is_kept() -> None:
    assert not searcher().set_search_properties(None, None, {"y": tune.uniform(0, 1)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": None}, "search space"),
        ({"metric": None, "mode": None}, "metric"),
        ({"mode": None}, "mode"),
    ],
)
def test_a_suggestion_without_space_metric_or_mode_is_an_error(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        searcher(**options).suggest("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bohb_config": {"num_sample": 3}}, "Did you mean 'num_samples'"),
        ({"bohb_config": {"bandwidth_factor": 3}}, "chooses its bandwidths itself"),
        ({"bohb_config": {"min_bandwidth": 1e-3}}, "chooses its bandwidths itself"),
        ({"bohb_config": {"random_fraction": 2}}, "from 0 to 1, but got 2"),
        ({"bohb_config": {"num_samples": 1.5}}, "whole, but got 1.5"),
        ({"bohb_config": {"min_points_in_model": 0}}, "from 1 to inf"),
        ({"max_concurrent": -1}, "max_concurrent must be 0"),
        ({"mode": "best"}, "best"),
    ],
)
def test_an_argument_out_of_range_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        searcher(**options)


@pytest.mark.parametrize("options", [{"max_concurrent": True}, {"metric": ["a"], "mode": ["min"]}])
def test_an_argument_of_the_wrong_type_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        searcher(**options)


@pytest.mark.parametrize("domain", [tune.grid_search([1, 2]), tune.randn()])
def test_a_space_that_the_model_cannot_express_is_an_error(domain: Any) -> None:
    with pytest.raises(SearchSpaceError, match="TuneBOHB cannot"):
        searcher({"x": domain})


def test_without_optuna_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[optuna\]"):
        TuneBOHB()


def test_optuna_logs_nothing_and_keeps_its_verbosity(caplog: pytest.LogCaptureFixture) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.INFO):
            evaluate(searcher(), 12)
    finally:
        optuna.logging.disable_propagation()
    assert not caplog.records
    assert optuna.logging.get_verbosity() == before
