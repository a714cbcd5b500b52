from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import SearchSpaceError
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.convert import ConvertedSpace
from localtune.search.domains import Domain
from localtune.search.presets import can_give
from localtune.search.sample import (
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)
from localtune.search.shapes import Normals, Numbers, Options, shape_of

SPACE: dict[str, Any] = {
    "opt": choice([{"name": "sgd", "lr": loguniform(0.1, 1.0)}, "none", [uniform(0, 1), "b"]]),
    "layers": [{"units": randint(1, 9), "act": "relu"}, (3, choice(["x", "y"]))],
    "constant": {"k": 1},
    "computed": sample_from(lambda config: 1),
}


@pytest.mark.parametrize(
    ("domain", "shape"),
    [
        (uniform(0, 2), Numbers(0, 2)),
        (quniform(0, 2, 0.5), Numbers(0, 2, q=0.5)),
        (loguniform(0.1, 2), Numbers(0.1, 2, is_log=True)),
        (qloguniform(0.5, 2, 0.5), Numbers(0.5, 2, is_log=True, q=0.5)),
        (randint(0, 3), Numbers(0, 2, True)),
        (qrandint(1, 11, 5), Numbers(5, 10, True, q=5)),
        (qrandint(1, 11), Numbers(1, 10, True)),
        (lograndint(1, 9), Numbers(1, 8, True, True)),
        (qlograndint(1, 9, 4), Numbers(4, 8, True, True, 4)),
        (randn(1, 2), Normals(1, 2)),
        (qrandn(1, 2, 0.5), Normals(1, 2, 0.5)),
        (choice("ab"), Options(("a", "b"))),
    ],
)
def test_domains_in_the_terms_of_libraries(domain: Domain, shape: Any) -> None:
    assert shape_of(domain) == shape


@given(
    domain=st.sampled_from(
        [quniform(-1, 2, 0.5), uniform(-1, 2), randint(-3, 5), qrandint(1, 11, 5), lograndint(1, 9)]
    ),
    value=st.floats(-20, 20),
)
def test_a_value_is_moved_to_the_nearest_possible_one(domain: Any, value: float) -> None:
    shape: Any = shape_of(domain)
    fitted = shape.fit(value)

    assert shape.contains(fitted)
    assert domain.is_valid(fitted)
    assert type(fitted) is type(domain.sample(random_state=1))
    assert shape.fit(fitted) == fitted


def test_nan_is_no_value() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Numbers(0, 1).fit(float("nan"))


def test_labels_are_plain_and_different() -> None:
    assert Options(("a", None, 2, 0.5)).labels() == ("a", None, 2, 0.5)
    assert Options((1, True)).labels() == ("0: 1", "1: True")
    assert Options(([1], {"a": 1})).labels() == ("0: [1]", "1: {'a': 1}")


def test_parameters_are_named_by_their_place() -> None:
    space = ConvertedSpace(SPACE, "Test", conditional=True)

    assert [(each.name, each.condition) for each in space.parameters] == [
        ("opt", None),
        ("opt:0/lr", ("opt", 0)),
        ("opt:2/0", ("opt", 2)),
        ("layers/0/units", None),
        ("layers/1/1", None),
    ]


def test_lists_and_options_are_whole_and_dicts_hold_no_constants() -> None:
    space = ConvertedSpace({**SPACE, "m": {"x": uniform(0, 1), "k": 2}}, "Test", conditional=True)
    values = {"opt": 0, "opt:0/lr": 0.5, "layers/0/units": 4.2, "layers/1/1": 1, "m/x": 2}

    assert space.config(values) == {
        "opt": {"name": "sgd", "lr": 0.5},
        "layers": [{"units": 4, "act": "relu"}, (3, "y")],
        "m": {"x": 1.0},
    }
    assert space.config({**values, "opt": 1})["opt"] == "none"


@given(seed=st.integers(0, 999))
def test_the_values_of_a_configuration_lead_back_to_it(seed: int) -> None:
    generator = BasicVariantGenerator(random_state=seed)
    generator.setup(SPACE, 1)
    suggestion = generator.next_suggestion()
    assert suggestion is not None
    config = suggestion.config
    config.pop("computed")
    space = ConvertedSpace(SPACE, "Test", conditional=True)

    again = space.config(space.values(config))

    assert {**again, "constant": {"k": 1}} == config
    assert can_give({key: SPACE[key] for key in again}, again)


def test_flat_keys_may_be_used() -> None:
    space = ConvertedSpace({"m": {"x": uniform(0, 1)}, "l": [randint(0, 4)]}, "Test")

    assert space.values({"m/x": 0.5, "l/0": 3}) == {"m/x": 0.5, "l/0": 3}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "'m/x' is missing"),
        ({"m": {"x": 2}, "a": "b"}, "2 at 'm/x'"),
        ({"m": {"x": True}, "a": "b"}, "True at 'm/x'"),
        ({"m": 3, "a": "b"}, "'m'"),
        ({"m": {"x": 0.5, "y": 1}, "a": "b"}, "'m/y', which is not in"),
        ({"m": {"x": 0.5}, "a": "z"}, "'z' at 'a'"),
        ({"m": {"x": 0.5}, "a": "b", "k": 2}, "'k', which is the constant 1"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(config: Any, message: str) -> None:
    space = ConvertedSpace({"m": {"x": uniform(0, 1)}, "a": choice("bc"), "k": 1}, "Test")

    with pytest.raises(ValueError, match=message):
        space.values(config)


def test_unknown_keys_of_an_earlier_run_are_ignored() -> None:
    space = ConvertedSpace({"x": uniform(0, 1), "k": 1}, "Test")

    assert space.values({"x": 0.5, "k": 2, "more": 3}, all_known=False) == {"x": 0.5}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"x": grid_search([1])}, "grid_search, but 'x'"),
        ({"x": randn()}, "cannot express"),
        ({"x": choice([uniform(0, 1), 2])}, "domains inside, but 'x'"),
        ({"a/b": uniform(0, 1)}, "'a/b'"),
        ({"1": uniform(0, 1), 1: uniform(0, 1)}, "both called '1'"),
        ([uniform(0, 1)], "must be a dict"),
    ],
)
def test_a_space_that_a_library_cannot_take_is_refused(space: Any, message: str) -> None:
    with pytest.raises(SearchSpaceError, match=message):
        ConvertedSpace(space, "Test")
