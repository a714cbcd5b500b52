from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.base import Searcher
from localtune.search.bayesopt import BayesOptSearch
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow


class TestBayesOptSearch(SearcherContract):
    space: ClassVar[dict[str, Any]] = {
        "x": tune.uniform(-1.0, 1.0),
        "model": {"rate": tune.loguniform(1e-4, 1.0), "depth": tune.randint(1, 9)},
        "constant": 3,
    }
    points: ClassVar[list[dict[str, Any]]] = [
        {"x": 0.5, "model": {"rate": 0.01, "depth": 8}},
        {"x": -0.25, "model": {"rate": 0.1, "depth": 1}},
    ]
    bad_points: ClassVar[list[dict[str, Any]]] = [
        {"x": 0.5, "model": {"rate": 0.01, "depth": 9}},
        {"x": 2.0, "model": {"rate": 0.01, "depth": 8}},
        {"x": 0.5, "model": {"rate": 0.01}},
        {"x": 0.5, "model": {"rate": 0.01, "depth": 8}, "typo": 1},
    ]

    takes_rewards = True
    learns = False  # 80 suggestions take long: see test_each_kind_of_utility_finds_the_best

    def make_searcher(self, **arguments: Any) -> Searcher:
        return BayesOptSearch(random_state=None, random_search_steps=8, **arguments)


def search_with(**arguments: Any) -> BayesOptSearch:
    given = {"space": {"x": (0, 1)}, "metric": "loss", "mode": "min", "random_search_steps": 3}
    return BayesOptSearch(**{**given, **arguments})


def xs(search: BayesOptSearch, count: int) -> list[float]:
    """What it suggests, if the best is at 0.7."""
    found = []
    for number in range(count):
        config = search.suggest(str(number))
        assert isinstance(config, dict)
        found.append(config["x"])
        sign = 1 if search.mode == "min" else -1
        search.on_trial_complete(str(number), {"loss": sign * (config["x"] - 0.7) ** 2})
    return found


@pytest.mark.parametrize(
    ("kind", "mode"), [("ucb", "min"), ("ei", "max"), ("poi", "min"), ("ucb", "max")]
)
def test_each_kind_of_utility_finds_the_best(kind: str, mode: str) -> None:
    utility = {"kind": kind, "kappa": 1.0}
    found = xs(search_with(utility_kwargs=utility, mode=mode, skip_duplicate=False), 12)

    assert min(abs(x - 0.7) for x in found[6:]) < 0.05


def test_concurrent_trials_differ_before_the_first_result() -> None:
    search = search_with()
    xs(search, 6)
    configs: list[Any] = [search.suggest(f"later {number}") for number in range(4)]

    assert len({round(config["x"], 2) for config in configs}) == 4


def test_bounds_of_a_logarithmic_scale_are_logarithms() -> None:
    space = {"x": tune.uniform(0, 2), "m": {"l": tune.loguniform(1, math.e)}, "k": 5}

    assert BayesOptSearch.convert_search_space(space) == {"x": (0, 2), "m/l": (0, 1)}
    assert BayesOptSearch.convert_search_space(space, join=True)["k"] == 5


def test_a_small_space_is_finished_when_only_duplicates_come_up() -> None:
    search = search_with(space={"x": tune.randint(0, 2)}, random_search_steps=50, patience=40)

    assert {round(x) for x in xs(search, 2)} == {0, 1}
    assert search.suggest("third") == Searcher.FINISHED


def test_duplicates_wait_while_trials_run() -> None:
    search = search_with(space={"x": tune.randint(0, 2)}, random_search_steps=50, patience=40)
    assert search.suggest("first") is not None
    assert search.suggest("second") is not None

    assert search.suggest("third") is None


def test_duplicates_are_suggested_if_wanted() -> None:
    search = search_with(space={"x": tune.randint(0, 2)}, skip_duplicate=False)

    assert len(xs(search, 5)) == 5


def test_skip_duplicate_may_say_to_how_many_digits() -> None:
    search = search_with(skip_duplicate=0, random_search_steps=50, patience=40)

    assert {round(x) for x in xs(search, 2)} == {0, 1}
    assert search.suggest("third") == Searcher.FINISHED


def test_an_earlier_run_is_learned_from() -> None:
    trained = run_tuner(search_with(metric=None, mode=None), {}, num_samples=4)
    search = search_with(analysis=trained._experiment_analysis, random_search_steps=1)
    xs(search, 2)

    assert len(search._known) == 4 + 2


def test_choices_are_refused() -> None:
    with pytest.raises(SearchSpaceError, match="numbers between bounds only, but 'm/x'"):
        BayesOptSearch({"m": {"x": tune.choice([1, 2])}})


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"random_search_steps": 0}, "random_search_steps must be at least 1"),
        (
            {"points_to_evaluate": [{"x": 0.5}], "evaluated_rewards": ["a"]},
            "evaluated_rewards must be numbers, but got 'a'",
        ),
        ({"patience": 0}, "patience must be at least 1"),
        ({"utility_kwargs": {"kind": "no"}}, "must be one of ucb, ei, poi, but got 'no'"),
        ({"utility_kwargs": {"kapa": 1}}, "may have kind, kappa, xi, but got kapa"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        BayesOptSearch(**arguments)


def test_a_run_with_processes() -> None:
    run_tuner("bayesopt", {"x": tune.uniform(0, 1)}, num_samples=5)
