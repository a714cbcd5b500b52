from __future__ import annotations

from typing import Any

import nevergrad as ng
import numpy as np
import pytest

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.base import Searcher, load_snapshot, snapshot
from localtune.search.nevergrad import NevergradSearch
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow

SPACE = {"x": tune.uniform(0, 1), "net": tune.choice(["small", {"units": tune.randint(1, 9)}])}


class TestNGOpt(SearcherContract):
    takes_rewards = True
    is_conditional = True
    learns = False  # not within the 40 trials that the suite runs

    def make_searcher(self, **arguments: Any) -> Searcher:
        return NevergradSearch(**arguments)


class TestOnePlusOne(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return NevergradSearch(ng.optimizers.OnePlusOne, {"budget": 40}, **arguments)


def search_with(optimizer: Any = None, **arguments: Any) -> NevergradSearch:
    given = {"space": SPACE, "metric": "loss", "mode": "min"}
    return NevergradSearch(optimizer, **{**given, **arguments})


@pytest.mark.parametrize(
    ("parametrization", "names"),
    [
        (ng.p.Instrumentation(ng.p.Scalar(), ng.p.Choice([1, 2])), ["a", "b"]),
        (ng.p.Instrumentation(a=ng.p.Scalar(), b=ng.p.Choice([1, 2])), None),
        (ng.p.Dict(a=ng.p.Scalar(), b=ng.p.Choice([1, 2])), None),
        (ng.p.Tuple(ng.p.Scalar(), ng.p.Choice([1, 2])), ["a", "b"]),
        (ng.p.Array(shape=(2,)), ["a", "b"]),
    ],
)
def test_an_optimiser_made_already_has_its_own_space(parametrization: Any, names: Any) -> None:
    optimizer = ng.optimizers.OnePlusOne(parametrization, budget=9)
    search = search_with(optimizer, space=names, points_to_evaluate=[{"a": 3.0, "b": 2}])
    first, second = search.suggest("1"), search.suggest("2")
    search.on_trial_complete("2", {"loss": 1.0})
    twin = NevergradSearch()
    load_snapshot(twin, snapshot(search))

    assert first == {"a": 3.0, "b": 2}
    assert isinstance(second, dict)
    assert set(second) == {"a", "b"}
    assert not any(isinstance(value, np.generic) for value in second.values())
    assert optimizer.num_tell == 1
    assert twin.suggest("3") == search.suggest("3")


def test_a_parametrization_may_be_the_space() -> None:
    space = ng.p.Dict(a=ng.p.Scalar(lower=0, upper=1), b=ng.p.Dict(c=ng.p.Choice([1, 2])))
    config = search_with("OnePlusOne", space=space).suggest("1")

    assert isinstance(config, dict)
    assert 0 <= config["a"] <= 1
    assert config["b"]["c"] in (1, 2)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: NevergradSearch("Nope"), "must be one of nevergrad.optimizers.registry"),
        (lambda: NevergradSearch(ng.optimizers.OnePlusOne(2, budget=9)), "list of 2 names"),
        (
            lambda: NevergradSearch(ng.optimizers.OnePlusOne(2, budget=9), space=["a"]),
            "list of 2 names",
        ),
        (
            lambda: NevergradSearch(ng.optimizers.OnePlusOne(ng.p.Dict(a=ng.p.Scalar())), space=[]),
            "space must be None",
        ),
        (
            lambda: NevergradSearch(ng.optimizers.OnePlusOne(2, budget=9), {"budget": 4}),
            "optimizer_kwargs need a class",
        ),
        (
            lambda: search_with(
                space=ng.p.Dict(a=ng.p.Choice([1, 2])), points_to_evaluate=[{"a": 4}]
            ),
            r"points_to_evaluate\[0\] is {'a': 4}",
        ),
        (
            lambda: search_with(space=ng.p.Dict(a=ng.p.Scalar()), points_to_evaluate=[{}]),
            r"points_to_evaluate\[0\] must have a value for each name",
        ),
    ],
)
def test_contradicting_arguments_are_refused(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    "optimizer",
    [
        "Cobyla",
        ng.optimizers.Powell,
        ng.optimizers.NelderMead(2, budget=9),
        ng.optimizers.NGOpt(ng.p.Array(shape=(2,), lower=0, upper=1), budget=9, num_workers=1),
    ],
)
def test_an_optimiser_that_waits_for_each_value_is_refused(optimizer: Any) -> None:
    with pytest.raises(ValueError, match="must not wait for each value"):
        NevergradSearch(optimizer, space=["a", "b"] if hasattr(optimizer, "budget") else None)


def test_an_optimizer_that_may_choose_such_is_refused() -> None:
    search = search_with(
        space={"x": tune.uniform(0, 1)}, optimizer_kwargs={"num_workers": 1, "budget": 9}
    )

    with pytest.raises(ValueError, match="num_workers must be at least 2"):
        search.suggest("1")


@pytest.mark.parametrize("budget", [1, 5, 40, 300, 1000])
@pytest.mark.parametrize("count", [1, 5, 60])
def test_the_default_optimizer_never_waits(budget: int, count: int) -> None:
    space = {str(number): tune.uniform(0, 1) for number in range(count)}
    search = search_with(space=space, optimizer_kwargs={"budget": budget})

    assert isinstance(search.suggest("1"), dict)
    assert isinstance(search.suggest("2"), dict)


def test_an_optimizer_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="optimizer must be a class"):
        NevergradSearch(3)


def test_a_grid_is_refused_by_name() -> None:
    with pytest.raises(SearchSpaceError, match="Nevergrad cannot take a grid_search, but 'x'"):
        search_with(space={"x": tune.grid_search([1])})


def test_all_domains_are_variables() -> None:
    converted = NevergradSearch.convert_search_space(
        {
            "u": tune.uniform(0, 1),
            "m": {"l": tune.loguniform(1, 9), "i": tune.lograndint(1, 5)},
            "n": tune.randn(3, 2),
            "c": tune.choice(["a", "b"]),
            "one": tune.randint(4, 5),
            "only": tune.choice(["a"]),
        }
    )

    assert set(converted.value) == {"u", "m/l", "m/i", "n", "c", "one", "only"}
    assert converted.value["m/l"] == pytest.approx(3.0)
    assert isinstance(converted.value["m/i"], int)
    assert converted.value["n"] == 3.0
    assert converted.value["c"] in (0, 1)
    assert (converted.value["one"], converted.value["only"]) == (4, 0)


def test_the_budget_is_the_number_of_samples_unless_it_is_given() -> None:
    budgets = []
    for kwargs in ({}, {"budget": 7, "num_workers": 2}):
        search = NevergradSearch("OnePlusOne", kwargs)
        search.set_search_properties("loss", "min", SPACE, num_samples=33, seed=1)
        search.suggest("1")
        budgets.append(search._model.budget)

    assert budgets == [33, 7]


def test_the_library_gets_no_failed_trials() -> None:
    search = search_with("OnePlusOne")
    for number in range(3):
        search.suggest(str(number))
    search.on_trial_complete("0", error=True)
    search.on_trial_complete("1", {"loss": float("nan")})
    search.on_trial_complete("2", {"loss": 1.0})

    assert search._model.num_tell == 1


def test_points_with_rewards_are_added_and_not_suggested() -> None:
    search = search_with(
        "OnePlusOne",
        points_to_evaluate=[{"x": 0.5, "net": {"units": 3}}, {"x": 0.25, "net": "small"}],
        evaluated_rewards=[0.25, 1.0],
    )
    search.suggest("1")

    assert search._model.num_tell == 2
    assert search._model.current_bests["average"].mean == 0.25


def test_the_library_gets_evaluated_points() -> None:
    search = search_with("OnePlusOne")
    search.add_evaluated_point({"x": 0.5, "net": {"units": 3}, "other": 1}, 0.25)
    search.suggest("1")

    assert search._model.num_tell == 1
    assert search._model.current_bests["average"].mean == 0.25


def test_a_run_with_processes() -> None:
    run_tuner("nevergrad", SPACE, num_samples=6)
    run_tuner("nevergrad", {"x": tune.uniform(0, 1)}, num_samples=6)
