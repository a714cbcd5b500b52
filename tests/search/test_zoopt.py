from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from zoopt import ValueType

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.base import Searcher
from localtune.search.zoopt import ZOOptSearch
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow

SPACE = {"x": tune.uniform(0, 1), "net": tune.choice(["small", {"units": tune.randint(1, 9)}])}


class TestZOOptSearch(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return ZOOptSearch(budget=40, parallel_num=4, **arguments)


def search_with(**arguments: Any) -> ZOOptSearch:
    given = {"dim_dict": SPACE, "metric": "loss", "mode": "min", "seed": 1}
    return ZOOptSearch(**{**given, **arguments})


def evaluate(search: ZOOptSearch, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Configurations of trials, one after the other; the best is at x = 0.7."""
    configs = []
    for number in range(first, first + count):
        config = search.suggest(str(number))
        assert isinstance(config, dict)
        configs.append(config)
        search.on_trial_complete(str(number), {"loss": (config["x"] - 0.7) ** 2})
    return configs


def test_dimensions_of_the_library_are_a_space() -> None:
    space = {
        "x": (ValueType.CONTINUOUS, [0, 2], 1e-2),
        "n": (ValueType.DISCRETE, [3, 5], True),
        "d": (ValueType.DISCRETE, [0, 1], False),
        "act": (ValueType.GRID, ["relu", "tanh"]),
        "constant": 7,
    }
    point = {"x": 0.5, "n": 5, "d": 1, "act": "tanh"}
    search = search_with(dim_dict=space, points_to_evaluate=[point])

    assert search.suggest("0") == {**point, "constant": 7}
    search.on_trial_complete("0", {"loss": 1.0})
    for config in evaluate(search, 20, first=1):
        assert 0 <= config["x"] <= 2 and config["n"] in (3, 4, 5) and config["d"] in (0, 1)
        assert type(config["n"]) is int


def test_all_numbers_come_from_their_domains() -> None:
    space = {
        "x": tune.loguniform(1e-6, 1),
        "q": tune.quniform(0, 1, 0.25),
        "i": tune.lograndint(1, 100),
        "qi": tune.qrandint(0, 6, 3),
        "tiny": tune.uniform(0, 1e-12),
        "one": tune.randint(4, 5),
    }
    configs = evaluate(search_with(dim_dict=space, budget=60), 60)

    assert min(config["x"] for config in configs) < 1e-3
    assert {config["q"] for config in configs} <= {0, 0.25, 0.5, 0.75, 1.0}
    assert all(type(config["i"]) is int and 1 <= config["i"] < 100 for config in configs)
    assert {config["qi"] for config in configs} <= {0, 3, 6}
    assert len({config["tiny"] for config in configs}) > 10
    assert {config["one"] for config in configs} == {4}


def test_a_converted_space_has_a_dimension_for_each_parameter() -> None:
    assert ZOOptSearch.convert_search_space({**SPACE, "k": 1}) == {
        "x": (ValueType.CONTINUOUS, [0, 1], 1e-10),
        "net": (ValueType.GRID, [0, 1]),
        "net:1/units": (ValueType.DISCRETE, [1, 8], True),
    }


def test_it_waits_for_the_results_of_its_first_trials() -> None:
    search = search_with(budget=20, parallel_num=2)
    first = [search.suggest(str(number)) for number in range(4)]
    assert None not in first and search.suggest("5") is None
    for number in range(3):
        search.on_trial_complete(str(number), {"loss": 1.0})
    assert search.suggest("5") is None
    search.on_trial_complete("3", error=True)

    assert [search.suggest(str(number)) is None for number in (5, 6, 7)] == [False, False, True]


def test_failed_trials_count_as_the_worst() -> None:
    search = search_with(budget=20)
    for number in range(4):
        search.suggest(str(number))
        search.on_trial_complete(str(number), {"loss": math.nan} if number else {"loss": 5.0})

    assert search._model.get_best_solution().get_value() == 5.0
    assert len(evaluate(search, 10, first=4)) == 10


def test_a_space_that_is_used_up_gives_the_same_once_more() -> None:
    configs = evaluate(search_with(dim_dict={"x": tune.choice([0.0, 1.0])}, budget=30), 30)

    assert {config["x"] for config in configs} == {0.0, 1.0}


def test_more_rewards_than_it_begins_with_are_learned_from() -> None:
    xs = [number / 20 for number in range(20)]
    search = search_with(
        points_to_evaluate=[{"x": x, "net": "small"} for x in xs],
        evaluated_rewards=[abs(x - 0.7) for x in xs],
    )
    configs = evaluate(search, 20)

    assert abs(sum(config["x"] for config in configs) / 20 - 0.7) < 0.2


def test_numpys_global_generator_stays_as_it_was() -> None:
    np.random.seed(5)
    expected = np.random.random(3).tolist()
    np.random.seed(5)
    evaluate(search_with(), 10)

    assert np.random.random(3).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"algo": "racos"}, "algo must be 'asracos', but got 'racos'"),
        ({"budget": 0}, "budget must be a whole number above 0, but got 0"),
        ({"parallel_num": 1.5}, "parallel_num must be a whole number above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ZOOptSearch(**arguments)


def test_a_domain_that_zoopt_cannot_express_is_refused() -> None:
    with pytest.raises(SearchSpaceError, match="ZOOpt cannot express"):
        ZOOptSearch(dim_dict={"x": tune.randn()})
    with pytest.raises(SearchSpaceError, match="must be two numbers"):
        ZOOptSearch(dim_dict={"x": (ValueType.CONTINUOUS, [0, 1, 2], 1e-2)})


def test_a_run_with_processes() -> None:
    run_tuner("zoopt", SPACE, num_samples=6)
