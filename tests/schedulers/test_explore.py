"""The step of exploration, for each kind of mutation."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localtune as tune
from localtune.error import TuneError
from localtune.schedulers.explore import (
    Exploration,
    check_keys,
    check_mutations,
    fill_in,
    scaled,
    values_of,
)
from localtune.search.sample import Categorical


def explored(
    mutations: dict[str, Any],
    config: dict[str, Any],
    *,
    resample: float = 0.0,
    factors: tuple[float, ...] = (2.0, 0.5),
    seed: int = 0,
) -> dict[str, Any]:
    return Exploration(mutations, resample, factors).explore(config, random.Random(seed))


def outcomes(mutations: dict[str, Any], config: dict[str, Any], **options: Any) -> set[Any]:
    return {explored(mutations, config, seed=seed, **options)["x"] for seed in range(60)}


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize(
    ("value", "expected"), [(1, {1, 2}), (2, {1, 3}), (3, {2, 4}), (4, {3, 4})]
)
def test_a_value_of_a_list_moves_to_a_neighbour_and_stays_at_the_ends(
    kind: Any, value: int, expected: set[int]
) -> None:
    assert outcomes({"x": kind([1, 2, 3, 4])}, {"x": value}) == expected


def test_a_value_that_is_not_in_the_list_is_drawn_from_it() -> None:
    assert outcomes({"x": ["a", "b", "c"]}, {"x": "z"}) == {"a", "b", "c"}


def test_a_list_is_drawn_from_with_the_resample_probability() -> None:
    assert outcomes({"x": [1, 2, 3, 4, 5]}, {"x": 1}, resample=1.0) == {1, 2, 3, 4, 5}


def test_a_list_may_hold_arrays() -> None:
    arrays = [np.zeros(2), np.ones(2)]
    assert explored({"x": arrays}, {"x": arrays[0]})["x"] is not None


@pytest.mark.parametrize("spec", [tune.uniform(0, 1), tune.choice([3.0]), lambda: 7.0])
def test_a_number_of_a_domain_or_a_function_is_multiplied_by_a_factor(spec: Any) -> None:
    assert outcomes({"x": spec}, {"x": 3.0}) == {6.0, 1.5}


def test_a_domain_and_a_function_are_drawn_from_with_the_resample_probability() -> None:
    assert all(
        0.5 <= value < 0.6
        for value in outcomes({"x": tune.uniform(0.5, 0.6)}, {"x": 9.0}, resample=1.0)
    )
    assert outcomes({"x": lambda: 7.0}, {"x": 9.0}, resample=1.0) == {7.0}


def test_a_choice_of_dicts_with_domains_is_resolved() -> None:
    spec = tune.choice([{"kind": "adam", "lr": tune.uniform(0.1, 0.2)}])
    value = explored({"x": spec}, {"x": None}, resample=1.0)["x"]
    assert value["kind"] == "adam" and 0.1 <= value["lr"] < 0.2


@pytest.mark.parametrize(
    ("value", "factor", "expected"),
    [
        (10, 1.26, 13),
        (10, 0.88, 9),
        (1, 0.8, 1),
        (0, 1.2, 0),
        (2.0, 1.5, 3.0),
        (True, 0.1, True),
        (False, 1.2, False),
        (None, 1.2, None),
        ("relu", 1.2, "relu"),
        (np.int64(10), 1.26, 13),
        (np.float32(2.0), 1.5, 3.0),
    ],
)
def test_whole_numbers_are_rounded_and_other_values_are_kept(
    value: Any, factor: float, expected: Any
) -> None:
    new = scaled(value, factor)
    assert new == expected
    assert type(new) is type(expected)


def test_a_nested_dict_is_explored_and_all_else_is_kept() -> None:
    config = {"opt": {"lr": 1.0, "name": "sgd"}, "other": [1]}
    new = explored({"opt": {"lr": tune.uniform(0, 1)}}, config, factors=(2.0,))
    assert new == {"opt": {"lr": 2.0, "name": "sgd"}, "other": [1]}


def test_the_config_that_is_explored_stays_as_it_is() -> None:
    inner = object()
    config: dict[str, Any] = {"opt": {"lr": 1.0}, "layers": [1, 2], "object": inner}
    new = explored({"opt": {"lr": tune.uniform(0, 1)}}, config)
    new["layers"].append(3)
    new["opt"]["lr"] = 100
    assert config == {"opt": {"lr": 1.0}, "layers": [1, 2], "object": inner}
    assert new["object"] is inner


@given(seed=st.integers(0, 2**32), resample=st.floats(0, 1))
def test_equal_generators_give_equal_steps(seed: int, resample: float) -> None:
    mutations = {"a": [1, 2, 3], "b": tune.loguniform(1e-4, 1), "c": {"d": tune.randint(1, 9)}}
    config = {"a": 2, "b": 0.1, "c": {"d": 3}}
    first = explored(mutations, config, resample=resample, seed=seed)
    assert first == explored(mutations, config, resample=resample, seed=seed)
    assert first["a"] in (1, 2, 3) and isinstance(first["c"]["d"], int)


def test_missing_keys_are_drawn_and_named() -> None:
    config = {"lr": 0.5, "opt": {"name": "sgd"}}
    mutations = {"lr": tune.uniform(0, 1), "opt": {"decay": [0.1]}, "batch": lambda: 32}
    full, missing = fill_in(config, mutations, random.Random(0))
    assert full == {"lr": 0.5, "opt": {"name": "sgd", "decay": 0.1}, "batch": 32}
    assert missing == {"opt/decay": 0.1, "batch": 32}
    assert config == {"lr": 0.5, "opt": {"name": "sgd"}}


def test_a_config_that_has_all_keys_is_not_copied() -> None:
    config = {"opt": {"lr": 1}}
    full, missing = fill_in(config, {"opt": {"lr": [1, 2]}}, random.Random(0))
    assert full is config and missing == {}


def test_a_dict_of_mutations_needs_a_dict_in_the_config() -> None:
    with pytest.raises(TuneError, match=r"'opt'.*'sgd'"):
        fill_in({"opt": "sgd"}, {"opt": {"lr": [1]}}, random.Random(0))


def test_the_values_that_may_change_are_found() -> None:
    mutations = {"a": [1], "b": {"c": [2], "gone": [3]}, "missing": [1]}
    assert values_of({"a": 1, "b": {"c": 2}, "z": 0}, mutations) == {("a",): 1, ("b", "c"): 2}


@pytest.mark.parametrize("value", ["text", 3, None, {"inner": 0.5}])
def test_a_mutation_of_another_kind_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"hyperparam_mutations\['lr(/inner)?'\]"):
        check_mutations({"lr": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (tune.sample_from(lambda config: 1), "sample_from"),
        (tune.grid_search([1, 2]), "grid"),
        (Categorical([1, 2]).grid(), "grid"),
        ([], "empty"),
    ],
)
def test_a_domain_without_a_sampler_is_refused(value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_mutations({"lr": value})


def test_mutations_must_be_a_dict() -> None:
    with pytest.raises(TypeError, match="must be a dict"):
        check_mutations([1])


def test_a_key_that_is_nearly_right_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'learning_rte'.*'learning_rate'"):
        check_keys("hyperparam_mutations", {"learning_rte": [1]}, {"learning_rate": 1})
    with pytest.raises(ValueError, match=r"'opt/momentun'.*'opt/momentum'"):
        check_keys("bounds", {"opt": {"momentun": [1]}}, {"opt": {"momentum": 1}})


def test_a_key_of_its_own_may_be_missing_in_the_space() -> None:
    check_keys("m", {"batch": [1]}, {"learning_rate": 1})
    # Both exist: neither is a misspelling of the other.
    check_keys("m", {"beta1": [1], "beta2": [1]}, {"beta1": 1})
    check_keys("m", {"x": [1]}, tune.grid_search([{"x1": 1}]))
