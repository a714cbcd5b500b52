from __future__ import annotations

import math
import pickle
from collections import Counter
from typing import Any

import pytest
from hyperopt import hp, space_eval

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.base import Searcher, load_snapshot, snapshot
from localtune.search.hyperopt import HyperOptSearch
from localtune.search.pickled_parts import Archive
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow

SPACE = {"x": tune.uniform(0, 1), "net": tune.choice(["small", {"units": tune.randint(1, 9)}])}


class TestHyperOptSearch(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return HyperOptSearch(n_initial_points=10, **arguments)


def search_with(**arguments: Any) -> HyperOptSearch:
    given = {"space": SPACE, "metric": "loss", "mode": "min", "random_state_seed": 1}
    return HyperOptSearch(**{**given, **arguments})


def test_all_domains_are_drawn_evenly_within_their_bounds() -> None:
    space = {
        "q": tune.quniform(0, 1, 0.25),
        "i": tune.randint(0, 4),
        "qi": tune.qrandint(0, 6, 3),
        "li": tune.lograndint(1, 100),
        "ql": tune.qloguniform(0.5, 2, 0.5),
        "n": tune.randn(3, 1),
        "qn": tune.qrandn(0, 2, 0.5),
    }
    search = search_with(space=space, n_initial_points=400)
    configs: list[Any] = [search.suggest(str(number)) for number in range(400)]

    assert all(60 < count < 100 for count in Counter(c["q"] for c in configs).values())
    assert all(75 < count < 130 for count in Counter(c["i"] for c in configs).values())
    assert {c["qi"] for c in configs} == {0, 3, 6}
    assert min(c["li"] for c in configs) == 1
    assert max(c["li"] for c in configs) <= 99
    assert {c["ql"] for c in configs} == {0.5, 1.0, 1.5, 2.0}
    assert abs(sum(c["n"] for c in configs) / 400 - 3) < 0.3
    assert all((c["qn"] / 0.5).is_integer() for c in configs)
    assert all(type(c["i"]) is int and type(c["q"]) is float for c in configs)


def test_a_space_of_expressions_is_taken_as_it_is() -> None:
    space = {"a": hp.uniform("a", 0, 1), "b": {"c": hp.choice("kind", ["u", "v"])}, "k": 7}
    search = search_with(space=space, points_to_evaluate=[{"a": 0.5, "kind": 1}])
    first, second = search.suggest("1"), search.suggest("2")

    assert first == {"a": 0.5, "b": {"c": "v"}, "k": 7}
    assert isinstance(second, dict)
    assert type(second["a"]) is float


def test_a_space_may_mix_expressions_and_domains() -> None:
    options = ["none", {"kind": "cnn", "units": tune.randint(8, 10)}, tune.choice(["x", "y"])]
    space = {
        "a": hp.uniform("a", 0, 1),
        "b": tune.uniform(5, 6),
        "net": {"d": tune.choice([3, 4]), "e": hp.quniform("e", 0, 2, 1)},
        "option": hp.choice("option", options),
        "k": 7,
    }
    search = search_with(
        space=space, points_to_evaluate=[{"a": 0.5, "b": 5.5, "net/d": 1, "e": 2, "option": 0}]
    )
    first = search.suggest("first")
    configs: list[Any] = [search.suggest(str(number)) for number in range(40)]

    assert first == {"a": 0.5, "b": 5.5, "net": {"d": 4, "e": 2}, "option": "none", "k": 7}
    for config in configs:
        assert 0 <= config["a"] <= 1 and 5 <= config["b"] <= 6 and config["k"] == 7
        assert config["net"]["d"] in (3, 4) and config["net"]["e"] in (0, 1, 2)
    chosen = [config["option"] for config in configs]
    assert {"none", "x", "y"} <= {each for each in chosen if isinstance(each, str)}
    units = {each["units"] for each in chosen if isinstance(each, dict)}
    assert units == {8, 9}


@pytest.mark.parametrize("point", [{"a": 0.5}, {"a": 0.5, "kind": 0, "typo": 1}, {"kind": 0}])
def test_a_point_must_have_the_labels_of_a_space_of_expressions(point: dict[str, Any]) -> None:
    space = {"a": hp.uniform("a", 0, 1), "b": hp.choice("kind", ["u", "v"])}

    with pytest.raises(ValueError, match=r"points_to_evaluate\[0\]"):
        search_with(space=space, points_to_evaluate=[point])


def test_a_point_needs_no_value_for_a_parameter_of_another_option() -> None:
    space = {"b": hp.choice("kind", ["u", hp.uniform("v", 0, 1)])}

    assert search_with(space=space, points_to_evaluate=[{"kind": 0}]).suggest("1") == {"b": "u"}
    with pytest.raises(ValueError, match="'v' is missing"):
        search_with(space=space, points_to_evaluate=[{"kind": 1}])


def test_a_converted_space_gives_configurations_of_the_space() -> None:
    space = {**SPACE, "list": [tune.loguniform(0.1, 1), 5], "constant": 3}
    converted = HyperOptSearch.convert_search_space(space, prefix="p/")
    labels = {"p/x": 0.5, "p/net": 1, "p/net:1/units": 4, "p/list/0": math.log(0.5)}

    config = space_eval(converted, {**labels, "p/list/0": 0.5})

    assert config["x"] == 0.5
    assert config["net"] == {"units": 4}
    assert tuple(config["list"]) == (0.5, 5)
    assert config["constant"] == 3


def test_constants_of_the_searchers_own_space_are_in_the_configuration() -> None:
    search = search_with(space={"x": tune.uniform(0, 1), "a": {"b": 1, "c": tune.choice([2])}})
    config = search.suggest("1")

    assert isinstance(config, dict)
    assert config["a"] == {"b": 1, "c": 2}


def test_evaluated_points_are_learned_from() -> None:
    search = search_with(space={"x": tune.uniform(0, 1)}, n_initial_points=5)
    for number in range(20):
        search.add_evaluated_point({"x": number / 20, "other": 1}, (number / 20 - 0.8) ** 2)
    search.add_evaluated_point({"x": 0.1}, math.nan)
    search.add_evaluated_point({"x": 0.1}, -1.0, error=True)
    configs: list[Any] = [search.suggest(str(number)) for number in range(10)]

    assert abs(sum(config["x"] for config in configs) / 10 - 0.8) < 0.25


def test_points_with_rewards_are_learned_from() -> None:
    points = [{"x": number / 20} for number in range(20)]
    search = search_with(
        space={"x": tune.uniform(0, 1)},
        n_initial_points=5,
        points_to_evaluate=points,
        evaluated_rewards=[(point["x"] - 0.8) ** 2 for point in points],
    )
    configs: list[Any] = [search.suggest(str(number)) for number in range(10)]

    assert abs(sum(config["x"] for config in configs) / 10 - 0.8) < 0.25


def test_an_infinite_loss_is_a_failure() -> None:
    search = search_with(n_initial_points=1)
    for number in range(6):
        search.suggest(str(number))
        search.on_trial_complete(str(number), {"loss": math.inf})

    assert isinstance(search.suggest("last"), dict)
    assert len(search._trials.trials) == 1  # what TPE learns from: the trial that runs


def test_the_state_of_a_space_of_expressions_is_kept() -> None:
    search = search_with(space={"a": hp.uniform("a", 0, 1)})
    search.suggest("1")
    twin = HyperOptSearch()
    load_snapshot(twin, snapshot(search))

    assert twin.suggest("2") == search.suggest("2")


def go_on(search: HyperOptSearch, first: int, number: int) -> list[Any]:
    """Suggests for further trials, and ends each as soon as the next one has begun."""
    configs = []
    for each in range(first, first + number):
        configs.append(search.suggest(str(each)))
        if each:
            search.on_trial_complete(str(each - 1), {"loss": each % 5}, error=each % 4 == 0)
    return configs


def test_in_a_run_an_ended_trial_is_written_once() -> None:
    search, archive = search_with(n_initial_points=4), Archive()
    written: dict[str, bytes] = {}
    sizes = []
    for number in range(40):
        go_on(search, number, 1)
        with archive.in_use():
            state = snapshot(search)
        new = archive.unwritten()
        assert len(new) <= 1
        written.update(new)
        sizes.append(len(state))
    assert len(written) == 39
    assert max(sizes[20:]) < 1.1 * sizes[10]

    twin, restored = HyperOptSearch(), Archive()
    restored.read = written.get
    with restored.in_use():
        load_snapshot(twin, state)
    assert go_on(twin, 40, 10) == go_on(search, 40, 10)


def test_a_state_of_an_earlier_release_is_taken() -> None:
    search = search_with(n_initial_points=4)
    go_on(search, 0, 12)
    state = {**vars(search)}
    for name in ("_domain", "_ended", "_others"):
        del state[name]
    state = pickle.loads(pickle.dumps(state))
    twin = HyperOptSearch()
    twin.set_state(state)
    third = HyperOptSearch()
    load_snapshot(third, snapshot(twin))

    expected = go_on(search, 12, 8)
    assert go_on(twin, 12, 8) == expected
    assert go_on(third, 12, 8) == expected


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_initial_points": 0}, "n_initial_points must be at least 1"),
        ({"gamma": 1.0}, "gamma must be above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        HyperOptSearch(**arguments)


def test_a_grid_is_refused_by_name() -> None:
    with pytest.raises(SearchSpaceError, match="HyperOpt cannot take a grid_search, but 'x'"):
        HyperOptSearch({"x": tune.grid_search([1])})


def test_a_run_with_processes() -> None:
    run_tuner("hyperopt", SPACE, num_samples=6)
