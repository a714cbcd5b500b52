from __future__ import annotations

import copy
import itertools
import json
import math
import random
import types
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import RecursiveDependencyError, SearchSpaceError
from localtune.search import variant_generator
from localtune.search.sample import (
    Categorical,
    Domain,
    choice,
    grid_search,
    randint,
    sample_from,
    uniform,
)
from localtune.search.variant_generator import (
    assign_value,
    count_variants,
    format_vars,
    generate_variants,
    parse_spec_vars,
)
from tests.search.strategies import SPACES, image

Point = namedtuple("Point", ["x", "y"])


def configs(space: dict[Any, Any], **kwargs: Any) -> list[dict[Any, Any]]:
    return [config for _, config in generate_variants(space, **kwargs)]


def variables(space: dict[Any, Any], **kwargs: Any) -> list[dict[Any, Any]]:
    return [evaluated for evaluated, _ in generate_variants(space, **kwargs)]


def only(space: dict[Any, Any], **kwargs: Any) -> dict[Any, Any]:
    (config,) = configs(space, **kwargs)
    return config


# -- grids ----------------------------------------------------------------------------------


def test_the_alphabetically_first_path_varies_fastest() -> None:
    space = {"foo": grid_search([1, 2, 3]), "bar": grid_search([True, False])}

    assert [(config["bar"], config["foo"]) for config in configs(space)] == [
        (True, 1),
        (False, 1),
        (True, 2),
        (False, 2),
        (True, 3),
        (False, 3),
    ]


def test_positions_are_ordered_as_numbers_and_keys_of_any_type_work() -> None:
    space = {"a": [0] * 2 + [grid_search([1, 2])] + [0] * 7 + [grid_search([1, 2])]}
    assert [(c["a"][2], c["a"][10]) for c in configs(space)] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    mixed = {1: grid_search([1, 2]), "b": grid_search([3, 4]), None: grid_search([5])}
    assert len(configs(mixed)) == 4


def test_without_grids_there_is_one_variant() -> None:
    assert configs({"a": 1}) == [{"a": 1}]
    assert configs({}) == [{}]


def test_only_a_dict_with_exactly_the_one_key_is_a_grid() -> None:
    space = {"a": {"grid_search": [1, 2], "more": 3}}

    assert configs(space) == [space]


def test_a_domain_can_be_made_a_grid() -> None:
    assert configs({"a": Categorical([1, 2]).grid()}) == [{"a": 1}, {"a": 2}]


def test_a_grid_may_be_the_whole_space() -> None:
    space = {"grid_search": [{"a": 1}, {"a": grid_search([2, 3])}]}

    assert configs(space) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert next(map(format_vars, variables(space))) == "config=a_1"
    with pytest.raises(SearchSpaceError, match="must have dicts as values, but got 5"):
        configs({"grid_search": [{"a": 1}, 5]})


def test_grids_may_stand_in_the_values_of_grids() -> None:
    space = {
        "a": grid_search([1, 2]),
        "z": grid_search([{"n": grid_search(["p", "q"])}, 0]),
    }

    assert [(c["a"], c["z"]) for c in configs(space)] == [
        (1, {"n": "p"}),
        (2, {"n": "p"}),
        (1, {"n": "q"}),
        (2, {"n": "q"}),
        (1, 0),
        (2, 0),
    ]
    assert configs({"a": grid_search([grid_search([1, 2]), 3])}) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_huge_grid_is_unfolded_only_as_far_as_asked() -> None:
    space = {f"p{n}": grid_search(range(100)) for n in range(20)}

    assert count_variants(space) == 100**20
    first = list(itertools.islice(generate_variants(space), 3))
    assert [config["p0"] for _, config in first] == [0, 1, 2]


@pytest.mark.parametrize("values", [[], 5, "abc", None])
def test_a_grid_that_is_no_list_of_values_is_refused(values: Any) -> None:
    with pytest.raises(SearchSpaceError, match="grid_search at 'a/b' needs"):
        configs({"a": {"b": {"grid_search": values}}})


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 4), max_size=4))
def test_each_combination_of_grid_values_comes_once(sizes: dict[str, int]) -> None:
    space = {key: grid_search(range(size)) for key, size in sizes.items()}
    first = [tuple(config[key] for key in sorted(sizes)) for config in configs(space)]

    assert count_variants(space) == len(first) == math.prod(sizes.values())
    assert first == [
        combination[::-1]
        for combination in itertools.product(*(range(sizes[k]) for k in sorted(sizes)[::-1]))
    ]


# -- draws ----------------------------------------------------------------------------------


def test_variables_may_stand_anywhere() -> None:
    space = {
        "dict": {"deep": {"deeper": choice(["x"])}},
        "list": [1, choice(["y"]), [choice(["z"])]],
        "tuple": (choice(["t"]), {"in": choice(["u"])}),
    }

    assert only(space) == {
        "dict": {"deep": {"deeper": "x"}},
        "list": [1, "y", ["z"]],
        "tuple": ("t", {"in": "u"}),
    }


def test_values_of_a_choice_may_hold_variables() -> None:
    space = {
        "opt": choice([{"lr": uniform(1, 2), "more": [choice(["x"])]}]),
        "num": choice([uniform(3, 4)]),
    }
    ((evaluated, config),) = generate_variants(space)

    assert 1 <= config["opt"]["lr"] < 2
    assert config["opt"]["more"] == ["x"]
    assert 3 <= config["num"] < 4
    assert evaluated == {
        ("opt",): config["opt"],
        ("opt", "lr"): config["opt"]["lr"],
        ("opt", "more", 0): "x",
        ("num",): config["num"],
    }


def test_values_of_a_grid_may_hold_variables() -> None:
    space = {"opt": grid_search([{"lr": uniform(1, 2)}, 5, randint(7, 8)])}
    first, second, third = configs(space)

    assert 1 <= first["opt"]["lr"] < 2
    assert second == {"opt": 5}
    assert third == {"opt": 7}


def test_a_grid_in_a_chosen_value_is_unfolded() -> None:
    space = {"a": grid_search([1, 2]), "m": choice([{"x": grid_search([3, 4])}])}

    assert [(c["a"], c["m"]["x"]) for c in configs(space)] == [(1, 3), (2, 3), (1, 4), (2, 4)]
    assert list(variables(space)[0]) == [("a",), ("m",), ("m", "x")]
    assert count_variants(space) is None
    nested = {"g": grid_search([{"m": choice([[grid_search([1, 2])]])}, 0])}
    assert configs(nested) == [{"g": {"m": [1]}}, {"g": {"m": [2]}}, {"g": 0}]


def test_draws_are_made_anew_for_each_grid_point() -> None:
    space = {"g": grid_search([1, 2, 3]), "u": uniform(0, 1)}

    assert len({config["u"] for config in configs(space)}) == 3


def test_draws_are_kept_over_the_grid_on_request() -> None:
    space = {
        "g": grid_search([1, {"in": uniform(0, 1)}, 3]),
        "h": choice([{"v": uniform(0, 1)}, {"v": uniform(0, 1), "w": uniform(0, 1)}]),
        "u": uniform(0, 1),
    }
    found = configs(space, constant_grid_search=True)

    assert len({(config["u"], json.dumps(config["h"])) for config in found}) == 1
    assert found[0]["g"] == 1
    assert found[2]["g"] == 3


def test_variables_are_right_for_each_grid_point_when_draws_are_kept() -> None:
    space = {"g": grid_search([1, 2]), "u": uniform(0, 1)}

    for evaluated, config in generate_variants(space, constant_grid_search=True):
        assert evaluated == {("g",): config["g"], ("u",): config["u"]}


@given(SPACES, st.integers(), st.booleans())
def test_the_same_seed_gives_the_same_variants(
    space: dict[str, Any], seed: int, constant: bool
) -> None:
    def first() -> list[Any]:
        return list(itertools.islice(generate_variants(space, constant, seed), 5))

    assert first() == first()


@given(SPACES)
def test_a_space_is_never_changed(space: dict[str, Any]) -> None:
    before = image(copy.deepcopy(space))

    list(itertools.islice(generate_variants(space), 5))
    count_variants(space)
    parse_spec_vars(space)

    assert image(space) == before


def test_other_seeds_give_other_draws() -> None:
    space = {"u": uniform(0, 1)}

    assert only(space, random_state=1) != only(space, random_state=2)


def test_global_seeds_and_generators_make_variants_repeatable() -> None:
    space = {"u": uniform(0, 1)}
    np.random.seed(1)
    first = only(space)
    np.random.seed(1)

    assert only(space) == first
    assert only(space) != first
    for make in (random.Random, np.random.default_rng, np.random.RandomState):
        assert only(space, random_state=make(2)) == only(space, random_state=make(2))


def test_domains_of_users_are_sampled_and_their_values_resolved() -> None:
    class Pair(Domain):
        def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
            return [random_state.random(), choice(["x"])]

    class Grids(Domain):
        def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
            return grid_search([1, 2])

    value = only({"p": Pair()})["p"]

    assert 0 <= value[0] < 1
    assert value[1] == "x"
    with pytest.raises(SearchSpaceError, match="has no sampler"):
        count_variants({"d": Domain()})
    with pytest.raises(SearchSpaceError, match="a function or a draw returned one at 'p'"):
        only({"p": Grids()})


# -- what is passed on, what is copied ------------------------------------------------------


class Thing:
    """A user's class."""


@pytest.mark.parametrize(
    "leaf", [Thing, Thing(), len, lambda x: x, math, np.zeros(3), 3.5, frozenset({1}), b"x"]
)
def test_other_objects_are_passed_by_identity(leaf: Any) -> None:
    space = {
        "a": leaf,
        "b": [leaf],
        "c": choice([leaf]),
        "d": grid_search([leaf]),
        "e": sample_from(lambda: leaf),
        "f": sample_from(lambda config: config["a"]),
        "g": (leaf,),
    }
    config = only(space)

    for key in "aef":
        assert config[key] is leaf
    assert config["b"][0] is config["c"] is config["d"] is config["g"][0] is leaf


def containers_of(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [id(value), *itertools.chain(*map(containers_of, value.values()))]
    if isinstance(value, (list, tuple)):
        own = [id(value)] if isinstance(value, list) else []
        return [*own, *itertools.chain(*map(containers_of, value))]
    return [id(value)] if isinstance(value, set) else []


def test_variants_share_no_container_with_each_other_or_the_space() -> None:
    space: dict[str, Any] = {
        "plain": {"deep": [1, {"x": [2]}]},
        "set": {1, 2},
        "choice": choice([[1, [2]]]),
        "grid": grid_search([[3]]),
        "tuple": ([4], {"x": 5}),
        "again": choice([0, 1]),
        "function": sample_from(lambda config: config["plain"]),
    }
    variants = [variant for _ in range(3) for variant in generate_variants(space)]
    parts = [space, space["choice"].categories]
    for evaluated, config in variants:
        parts += [config, *evaluated.values()]
    all_ids = list(itertools.chain(*map(containers_of, parts)))

    assert len(all_ids) == len(set(all_ids))
    assert variants[0][1]["plain"] == variants[0][1]["function"] == space["plain"]


def test_types_of_containers_are_kept() -> None:
    space: dict[str, Any] = {
        "ordered": OrderedDict(a=choice([1])),
        "default": defaultdict(list, {"a": choice([1])}),
        "named": Point(choice([1]), 2),
        "constant": Point(1, 2),
        "set": {1},
    }
    config = only(space)

    assert {key: type(value) for key, value in config.items()} == {
        "ordered": OrderedDict,
        "default": defaultdict,
        "named": Point,
        "constant": Point,
        "set": set,
    }
    assert config["named"] == Point(1, 2)
    assert config["default"]["missing"] == []


def test_a_space_may_be_changed_by_its_owner_between_variants() -> None:
    space: dict[str, Any] = {"g": grid_search([1, 2]), "deep": {"x": [1]}}
    variants = generate_variants(space)

    next(variants)
    space["deep"]["x"].append(2)
    space["g"]["grid_search"].clear()

    assert next(variants).config == {"g": 2, "deep": {"x": [1]}}


def test_a_space_that_contains_itself_is_refused() -> None:
    space: dict[str, Any] = {"a": {"b": []}}
    space["a"]["b"].append(space["a"])

    with pytest.raises(SearchSpaceError, match=r"must not contain itself.*'a/b/0'"):
        configs(space)


def test_a_container_may_stand_in_two_places() -> None:
    shared = [choice([1])]

    config = only({"a": shared, "b": shared})

    assert config == {"a": [1], "b": [1]}
    assert config["a"] is not config["b"]


@pytest.mark.parametrize("space", [None, 5, [1], uniform(0, 1)])
def test_a_space_that_is_no_dict_is_refused(space: Any) -> None:
    with pytest.raises(SearchSpaceError, match="A search space must be a dict"):
        configs(space)


# -- functions and expressions --------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda config: config["x"] * 100,
        lambda spec: spec.config.x * 100,
        lambda spec: spec["x"] * 100,
        lambda spec: spec.x * 100,
        lambda spec: spec["config"]["x"] * 100,
        lambda spec: spec.get("config")["x"] * 100,
        lambda: 700,
    ],
)
def test_functions_may_be_written_in_each_style(function: Any) -> None:
    assert only({"y": sample_from(function), "x": choice([7])})["y"] == 700


def test_a_function_may_read_the_value_of_another_one_through_spec() -> None:
    space = {
        "a": sample_from(lambda spec: spec["config"]["b"] + 1),
        "b": sample_from(lambda spec: spec["config"]["x"] + 1),
        "x": choice([1]),
    }

    assert only(space) == {"a": 3, "b": 2, "x": 1}


def test_a_space_with_a_part_named_config_is_read_like_ray_tunes_spec() -> None:
    space = {"config": {"x": choice([7]), "y": sample_from(lambda spec: spec.config.x)}}

    assert only(space) == {"config": {"x": 7, "y": 7}}


def test_computed_values_are_not_among_the_variables() -> None:
    space = {
        "x": choice([7]),
        "y": sample_from(lambda config: config["x"]),
        "z": sample_from(lambda: [uniform(0, 1)]),
    }

    assert variables(space) == [{("x",): 7}]


def test_functions_may_read_each_other_in_any_order() -> None:
    space = {
        "a": sample_from(lambda config: config["b"] + 1),
        "b": sample_from(lambda config: config["d"]["c"] + 1),
        "d": {"c": sample_from(lambda config: config["x"] + 1), "l": [1]},
        "x": choice([1]),
    }

    assert only(space) == {"a": 4, "b": 3, "d": {"c": 2, "l": [1]}, "x": 1}


def test_functions_run_once_per_variant() -> None:
    calls = []
    space = {
        "g": grid_search([1, 2, 3]),
        "f": sample_from(lambda config: calls.append(config["g"])),
    }

    configs(space)

    assert calls == [1, 2, 3]


@pytest.mark.parametrize(
    "space",
    [
        {"a": sample_from(lambda config: config["a"])},
        {
            "a": sample_from(lambda config: config["b"]),
            "b": sample_from(lambda spec: spec.config.a),
        },
        {"a": [sample_from(lambda config: config["a"])]},
        {"a": {"eval": "spec.b"}, "b": {"eval": "spec.a"}},
        {"a": sample_from(lambda c: c.get("b")), "b": sample_from(lambda c: dict(c))},
    ],
)
def test_a_circle_is_refused(space: dict[str, Any]) -> None:
    with pytest.raises(RecursiveDependencyError, match=r"in a circle, but 'a.*' needs '"):
        configs(space)


def test_a_function_that_returns_itself_again_and_again_is_refused() -> None:
    def again() -> Any:
        return sample_from(again)

    with pytest.raises(RecursiveDependencyError, match="at most 20 deep"):
        configs({"a": sample_from(again)})


def test_the_error_class_can_be_imported_from_here() -> None:
    assert variant_generator.RecursiveDependencyError is RecursiveDependencyError


@pytest.mark.parametrize(
    "read",
    [
        lambda config: config["late"],
        lambda config: config.late,
        lambda config: config.get("late"),
        lambda config: config.get("late", 5),
        lambda config: config.pop("late"),
        lambda config: config.pop("late", 5),
        lambda config: config.setdefault("late", 5),
        lambda config: dict(config)["late"],
        lambda config: {**config}["late"],
        lambda config: (lambda late, x: late)(**config),
        lambda config: dict(config.items())["late"],
        lambda config: next(iter(set(config.values()) - {1})),
        lambda config: config.copy()["late"],
        lambda config: copy.deepcopy(config)["late"],
        lambda config: json.loads(json.dumps(config))["late"],
        lambda config: eval(repr(config))["late"],
        lambda config: config[next(k for k in config if k == "late")],
        lambda config: config[next(k for k in config.keys() if k == "late")],  # noqa: SIM118
        lambda config: config["late"] if "late" in config else 5,  # noqa: SIM401
    ],
)
def test_however_a_function_reads_a_later_one_it_gets_its_value(read: Any) -> None:
    def swallowing(config: Any) -> Any:
        try:
            return read(config)
        except Exception:
            return "swallowed"

    space = {
        "early": sample_from(swallowing),
        "late": sample_from(lambda config: config["x"] + 1),
        "x": choice([1]),
    }

    assert only(space)["early"] == 2


def test_a_function_sees_plain_nested_containers() -> None:
    seen: Any = []
    space = {
        "f": sample_from(lambda config: seen.append(config)),
        "deep": {"x": choice([1]), "l": [choice([2]), (3, {"y": 4})]},
    }

    only(space)

    assert seen == [{"deep": {"x": 1, "l": [2, (3, {"y": 4})]}}]
    assert seen[0].deep.l[1][1].y == 4
    assert isinstance(seen[0], dict)


def test_a_function_can_change_only_its_own_copy() -> None:
    def change(config: Any) -> int:
        config["deep"]["l"].append(2)
        config["new"] = 1
        return len(config["deep"]["l"])

    assert only({"f": sample_from(change), "deep": {"l": [1]}}) == {"f": 2, "deep": {"l": [1]}}


def test_the_result_of_a_function_becomes_plain_and_independent() -> None:
    config = only({"a": {"x": [1]}, "b": sample_from(lambda config: config["a"])})

    assert type(config["b"]) is dict
    assert config["b"] == config["a"]
    assert config["b"]["x"] is not config["a"]["x"]


def test_variables_in_the_result_of_a_function_are_resolved() -> None:
    space = {
        "width": choice([8]),
        "lr": sample_from(lambda config: uniform(0, config["width"])),
        "more": sample_from(lambda: [sample_from(lambda config: config["width"]), 1]),
    }
    config = only(space)

    assert 0 <= config["lr"] < 8
    assert config["more"] == [8, 1]


def test_a_grid_in_the_result_of_a_function_is_refused() -> None:
    with pytest.raises(SearchSpaceError, match="must be part of the search space from the start"):
        configs({"a": sample_from(lambda: grid_search([1, 2]))})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (sample_from(lambda config: config["no"]), r"'a/b' failed: KeyError: 'no'"),
        (sample_from(lambda spec: spec.config.no), r"AttributeError: There is no 'no'"),
        (sample_from(lambda spec: spec.a.config), r"There is no 'config'"),
        ({"eval": "unknown_name"}, r"'a/b' failed: NameError"),
    ],
)
def test_an_error_in_a_function_names_the_path(part: Any, message: str) -> None:
    with pytest.raises(SearchSpaceError, match=message) as caught:
        configs({"a": {"b": part, "c": 1}})
    assert caught.value.__cause__ is not None


def test_expressions_are_resolved_like_draws() -> None:
    space = {
        "x": choice([4]),
        "f": sample_from(lambda config: config["e"] + 1),
        "e": {"eval": "spec.config.x ** 2"},
        "l": {"eval": "[spec.f]"},
    }
    ((evaluated, config),) = generate_variants(space)

    assert config == {"x": 4, "f": 17, "e": 16, "l": [17]}
    assert evaluated == {("x",): 4, ("e",): 16, ("l",): [17]}


def test_random_numbers_of_expressions_are_seeded() -> None:
    space = {"e": {"eval": "random.uniform(0, 1)"}}

    assert only(space, random_state=3) == only(space, random_state=3)


@pytest.mark.parametrize(
    "space", [{"eval": "accuracy of"}, {"a": {"eval": 5}}, {"a": {"eval": []}}]
)
def test_other_parts_named_eval_are_no_expressions(space: dict[str, Any]) -> None:
    assert only(space) == space


def test_a_syntax_error_in_an_expression_is_found_before_the_first_variant() -> None:
    with pytest.raises(SearchSpaceError, match="must hold a Python expression"):
        count_variants({"a": {"eval": "1 +"}})


# -- taking apart and formatting ------------------------------------------------------------


def test_a_space_is_taken_apart() -> None:
    lr = uniform(0, 1)
    function = sample_from(lambda: 1)
    space = {
        "a": 1,
        "deep": {"lr": lr, "l": [2, grid_search([3, 4])], "empty": {}},
        "f": function,
        "e": {"eval": "1"},
    }
    fixed, domains, grids = parse_spec_vars(space)

    assert fixed == [(("a",), 1), (("deep", "l", 0), 2), (("deep", "empty"), {})]
    assert domains[:2] == [(("deep", "lr"), lr), (("f",), function)]
    assert [(path, domain.is_function()) for path, domain in domains[2:]] == [(("e",), True)]
    ((path, grid),) = grids
    assert path == ("deep", "l", 1)
    assert isinstance(grid, Categorical)
    assert grid.categories == [3, 4]
    assert grid.is_grid()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, ""),
        ({("b",): 1, ("a",): 2}, "a=2,b=1"),
        ({("deep", "lr"): 0.123456}, "lr=0.1235"),
        ({("lr",): 1e-5}, "lr=0.0000"),
        ({("lr",): np.float64(0.5)}, "lr=0.5000"),
        ({("x",): -3, ("y",): True, ("z",): None}, "x=-3,y=True,z=None"),
        ({("act",): "a/b c(d)"}, "act=a_b_c_d"),
        ({("my key",): "x"}, "my_key=x"),
        ({("layers",): [16, 32]}, "layers=16_32"),
        ({("layers", 0): 16, ("layers", 1, "units"): 8}, "layers_0=16,units=8"),
        ({("l", 10): 1, ("l", 9): 2}, "l_9=2,l_10=1"),
        ({("m",): Thing, ("f",): len}, "f=len,m=Thing"),
        ({(1,): "x", ("a",): "y"}, "1=x,a=y"),
    ],
)
def test_variables_are_formatted(values: dict[Any, Any], text: str) -> None:
    assert format_vars(values) == text


def test_variants_come_from_a_generator() -> None:
    assert isinstance(generate_variants({}), types.GeneratorType)


def test_a_value_is_set_at_its_path() -> None:
    config: dict[str, Any] = {"a": [{"b": 1}, 2]}
    assign_value(config, ("a", 0, "b"), 3)
    assign_value(config, ("new",), 4)
    assert config == {"a": [{"b": 3}, 2], "new": 4}
    with pytest.raises(KeyError, match="missing"):
        assign_value(config, ("missing", "b"), 5)
