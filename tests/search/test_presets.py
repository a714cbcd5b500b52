from __future__ import annotations

from typing import Any

import pytest

from localtune.error import SearchSpaceError
from localtune.search.presets import with_preset
from localtune.search.sample import choice, grid_search, randint, sample_from, uniform

SPACE: dict[str, Any] = {
    "u": uniform(0, 1),
    "g": grid_search([1, [2], {"a": uniform(0, 1)}]),
    "c": choice(["x", {"lr": uniform(0, 1), "n": 1}]),
    "f": sample_from(lambda: 1),
    "k": 5,
    "deep": {"r": randint(0, 3), "l": [uniform(0, 1), 1]},
}


@pytest.mark.parametrize(
    "point",
    [
        {},
        {"u": 0.5},
        {"u": 1},
        {"g": 1},
        {"g": [2]},
        {"g": {"a": 0.5}},
        {"c": "x"},
        {"c": {"lr": 0.5, "n": 1}},
        {"f": "anything"},
        {"k": 5},
        {"deep": {"r": 2}},
        {"deep": {"l": [0.5]}},
        {"deep": {"l": (0.5, 1)}},
    ],
)
def test_a_value_that_the_space_can_give_stands_in_it(point: dict[str, Any]) -> None:
    space = with_preset(SPACE, point)
    assert all(space[key] == value for key, value in point.items() if key != "deep")


@pytest.mark.parametrize(
    ("point", "path"),
    [
        ({"u": 2}, "u"),
        ({"u": "text"}, "u"),
        ({"g": 7}, "g"),
        ({"g": {"a": 3}}, "g"),
        ({"g": {"b": 0.5}}, "g"),
        ({"c": "y"}, "c"),
        ({"c": {"lr": 0.5, "n": 2}}, "c"),
        ({"k": 6}, "k"),
        ({"deep": {"r": -1}}, "deep/r"),
        ({"deep": {"l": [0.5, 2]}}, "deep/l/1"),
        ({"deep": 5}, "deep"),
    ],
)
def test_a_value_that_the_space_cannot_give_is_refused(point: dict[str, Any], path: str) -> None:
    with pytest.raises(SearchSpaceError, match=rf"^'{path}' is .* cannot give"):
        with_preset(SPACE, point)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"x": 1}, "'x' is not in the search space"),
        ({"deep": {"R": 1}}, "'deep/R' is not in the search space. Did you mean 'r'?"),
        ({"deep": {"l": [0.5, 1, 2]}}, "'deep/l/2' is not in the search space"),
    ],
)
def test_an_unknown_key_is_refused(point: dict[str, Any], message: str) -> None:
    with pytest.raises(KeyError) as caught:
        with_preset(SPACE, point)
    assert caught.value.args[0].startswith(message)


def test_the_rest_of_the_space_stays() -> None:
    before = repr(SPACE)

    space = with_preset(SPACE, {"deep": {"r": 2}})

    assert space["deep"]["l"] is SPACE["deep"]["l"]
    assert space["u"] is SPACE["u"]
    assert repr(SPACE) == before
