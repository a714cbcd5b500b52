"""Which parts of a configuration are those of the space that is given again."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.search.renewal import plain_constants, with_new_space
from localtune.search.sample import choice, sample_from, uniform


class Thing:
    pass


OLD, NEW = Thing(), Thing()


@pytest.mark.parametrize(
    ("config", "space", "result"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": OLD}, {"a": NEW}, {"a": NEW}),
        ({"a": 1}, {}, {"a": 1}),
        ({}, {"a": 2}, {"a": 2}),
        ({}, {"a": uniform(0, 1)}, {}),
        ({"a": 1}, {"a": uniform(0, 1)}, {"a": 1}),
        ({"a": 1}, {"a": {"grid_search": [1, 2]}}, {"a": 1}),
        ({"a": 1}, {"a": sample_from(lambda config: 5)}, {"a": 1}),
        ({"a": {"x": OLD}}, {"a": choice([{"x": NEW}])}, {"a": {"x": OLD}}),
        ({"a": {"b": 1, "c": 3}}, {"a": {"b": 2, "c": uniform(0, 9)}}, {"a": {"b": 2, "c": 3}}),
        ({"a": [1, 3]}, {"a": [2, uniform(0, 9)]}, {"a": [2, 3]}),
        ({"a": [1, 3]}, {"a": [uniform(0, 9)]}, {"a": [1, 3]}),
        ({"a": [1, 3]}, {"a": [5, 6, 7]}, {"a": [5, 6, 7]}),
        ({"drawn": 1}, {"drawn": OLD}, {"drawn": 1}),
        ({"changed": 0.7}, {"changed": 0.5}, {"changed": 0.7}),
        ({"kept": 0.5}, {"kept": 0.6}, {"kept": 0.6}),
        ({"a": {"kept": 1}}, {"a": 3}, {"a": 3}),
    ],
)
def test_constants_are_new_and_drawn_or_changed_values_stay(
    config: dict[str, Any], space: dict[str, Any], result: dict[str, Any]
) -> None:
    before = {"changed": 0.5, "kept": 0.5}
    copy = {**config}

    assert with_new_space(config, space, {"drawn"}, before) == result
    assert config == copy


def test_plain_constants_have_flat_names() -> None:
    space = {"a": 1, "b": {"c": "x", "d": uniform(0, 1), "e": OLD}, "f": [None, choice([1])]}

    assert plain_constants(space) == {"a": 1, "b/c": "x", "f/0": None}
