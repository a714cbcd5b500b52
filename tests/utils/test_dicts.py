from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.utils.dicts import (
    deep_update,
    flatten_dict,
    merge_dicts,
    unflatten_dict,
    unflatten_list_dict,
    unflattened_lookup,
)

KEYS = st.text("abc", min_size=1, max_size=2)
# No empty dicts: they vanish when flattened.
NESTED = st.recursive(
    st.integers() | st.none(),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=12,
)
NESTED_DICTS = st.dictionaries(KEYS, NESTED, max_size=4)
WITH_LISTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers(),
        lambda inner: (
            st.dictionaries(KEYS, inner, min_size=1, max_size=3)
            | st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=12,
    ),
    min_size=1,
    max_size=4,
)


def test_nested_keys_come_level_by_level_after_flat_ones() -> None:
    nested = {"a": {"p": {"q": 1}, "r": 2}, "b": 3, "c": {"d": 4}}

    flat = flatten_dict(nested)

    assert flat == {"b": 3, "a/r": 2, "c/d": 4, "a/p/q": 1}
    assert list(flat) == ["b", "a/r", "c/d", "a/p/q"]


def test_flattening_leaves_the_input_as_it_is() -> None:
    nested = {"a": {"b": {"c": 1}}, "d": [1]}
    before = copy.deepcopy(nested)

    flatten_dict(nested, flatten_list=True)

    assert nested == before


def test_flattening_a_flat_dict_gives_another_dict() -> None:
    given = {"a": 1}
    flat = flatten_dict(given)

    assert flat == given
    assert flat is not given


def test_flattening_keeps_the_type_of_the_dict() -> None:
    assert type(flatten_dict(OrderedDict(a=OrderedDict(b=1)))) is OrderedDict
    flat = flatten_dict(defaultdict(int, a={"b": 1}))
    assert flat == {"a/b": 1}
    assert flat["missing"] == 0


def test_empty_dicts_vanish() -> None:
    assert flatten_dict({"a": {}, "b": {"c": {}}, "d": 1}) == {"d": 1}


def test_a_delimiter_can_be_chosen() -> None:
    assert flatten_dict({"a": {"b": 1}}, delimiter=".") == {"a.b": 1}


def test_keys_below_a_string_become_text() -> None:
    assert flatten_dict({"a": {1: {"b": 2}}}) == {"a/1/b": 2}


def test_a_dict_under_a_key_that_is_no_string_is_refused() -> None:
    assert flatten_dict({1: 2}) == {1: 2}
    with pytest.raises(TypeError, match="must be a string, but got 1"):
        flatten_dict({1: {"a": 2}})


@pytest.mark.parametrize("nested", [{"a/b": 1}, {"a": {"b/c": 1}}, {"a": {"b": {"c/d": 1}}}])
def test_keys_with_a_delimiter_are_refused_on_request(nested: dict[str, Any]) -> None:
    flatten_dict(nested)
    with pytest.raises(ValueError, match="must not contain '/'"):
        flatten_dict(nested, prevent_delimiter=True)


def test_other_keys_are_not() -> None:
    assert flatten_dict({"a": {"b": 1}, 2: 3}, prevent_delimiter=True) == {2: 3, "a/b": 1}


def test_lists_are_flattened_on_request() -> None:
    nested = {"a": [{"b": 1}, 2], "c": (3,), "d": []}

    assert flatten_dict(nested) == nested
    assert flatten_dict(nested, flatten_list=True) == {"c": (3,), "a/1": 2, "a/0/b": 1}


def test_a_flat_key_that_meets_a_nested_one_gives_way() -> None:
    assert flatten_dict({"a": {"b": {"x": 1}}, "a/b": {"y": 2}}) == {"a/b/x": 1, "a/b/y": 2}
    assert flatten_dict({"a/b": 1, "a": {"b": 2}}) == {"a/b": 2}


@given(NESTED_DICTS)
def test_unflattening_undoes_flattening(nested: dict[str, Any]) -> None:
    assert unflatten_dict(flatten_dict(nested)) == nested


@given(WITH_LISTS)
def test_unflattening_with_lists_undoes_flattening_with_lists(nested: dict[str, Any]) -> None:
    assert unflatten_list_dict(flatten_dict(nested, flatten_list=True)) == nested


def test_unflattening_keeps_the_type_of_the_dict() -> None:
    nested = unflatten_dict(OrderedDict({"a/b": 1}))

    assert type(nested) is OrderedDict
    assert type(nested["a"]) is OrderedDict


def test_unflattening_keeps_keys_that_are_no_strings() -> None:
    assert unflatten_dict({1: 2, "a.b": 3}, delimiter=".") == {1: 2, "a": {"b": 3}}


def test_unflattening_adds_to_a_copy_of_a_nested_value() -> None:
    value = {"x": 1}

    assert unflatten_dict({"a": value, "a/y": 2, "a/z": 3}) == {"a": {"x": 1, "y": 2, "z": 3}}
    assert value == {"x": 1}


@pytest.mark.parametrize("flat", [{"a": 1, "a/b": 2}, {"a/b": 2, "a": 1}])
def test_a_flat_key_that_begins_another_is_refused(flat: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="first part of another"):
        unflatten_dict(flat)


def test_positions_may_come_in_any_order_and_at_the_root() -> None:
    assert unflatten_list_dict({"1/a": 2, "0/a": 1}) == [{"a": 1}, {"a": 2}]


def test_numbers_that_are_no_positions_stay_keys() -> None:
    assert unflatten_list_dict({"a/1": 1, "a/3": 2}) == {"a": {"1": 1, "3": 2}}
    assert unflatten_list_dict({}) == {}


def test_a_value_that_is_a_dict_does_not_become_a_list() -> None:
    assert unflatten_list_dict({"a": {"0": 1}}) == {"a": {"0": 1}}


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", {"b": [10, {"c": 20}]}), ("a/b/0", 10), ("a/b/1/c", 20), ("x/y", 30), ("a/b/-1/c", 20)],
)
def test_lookup_finds_nested_and_flat_keys(key: str, value: Any) -> None:
    assert unflattened_lookup(key, {"a": {"b": [10, {"c": 20}]}, "x/y": 30}) == value


@pytest.mark.parametrize("key", ["b", "a/x", "a/b/2", "a/b/x", "a/s/0", "a/b/0/c"])
def test_lookup_of_a_missing_key_takes_the_default_or_fails(key: str) -> None:
    nested = {"a": {"b": [1, 2], "s": "text"}}

    assert unflattened_lookup(key, nested, default=None) is None
    with pytest.raises(KeyError, match=key):
        unflattened_lookup(key, nested)


def test_lookup_takes_another_delimiter_and_a_sequence() -> None:
    assert unflattened_lookup("1.a", [0, {"a": 5}], delimiter=".") == 5


def test_merging_shares_nothing_with_either_side() -> None:
    first: dict[str, Any] = {"a": {"x": [1]}, "b": 1}
    second: dict[str, Any] = {"a": {"y": [2]}, "b": {"z": 3}}

    merged = merge_dicts(first, second)

    assert merged == {"a": {"x": [1], "y": [2]}, "b": {"z": 3}}
    merged["a"]["x"].append(0)
    merged["a"]["y"].append(0)
    assert first == {"a": {"x": [1]}, "b": 1}
    assert second == {"a": {"y": [2]}, "b": {"z": 3}}


def test_updating_changes_and_returns_the_original() -> None:
    original: dict[str, Any] = {"a": {"x": 1, "y": 2}}

    assert deep_update(original, {"a": {"y": 3}}) is original
    assert original == {"a": {"x": 1, "y": 3}}


@pytest.mark.parametrize("new", [{"b": 1}, {"a": {"y": 1}}])
def test_updating_refuses_new_keys_unless_allowed(new: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"The dict may not get new keys, but got '[by]'"):
        deep_update({"a": {"x": 1}}, new)
    assert deep_update({"a": {"x": 1}}, new, new_keys_allowed=True) == merge_dicts(
        {"a": {"x": 1}}, new
    )


def test_new_keys_may_be_allowed_under_some_keys_only() -> None:
    original: dict[str, Any] = {"a": {"x": {"p": 1}}, "b": {}}

    deep_update(original, {"a": {"y": 2, "x": {"q": 3}}}, allow_new_subkey_list=["a"])

    assert original["a"] == {"x": {"p": 1, "q": 3}, "y": 2}
    with pytest.raises(ValueError, match="'y'"):
        deep_update(original, {"b": {"y": 2}}, allow_new_subkey_list=["a"])


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ({"type": "B", "n": 2}, {"type": "B", "n": 2}),
        ({"type": "A", "n": 2}, {"type": "A", "m": 0, "n": 2}),
        ({"n": 2}, {"type": "A", "m": 0, "n": 2}),
        (5, 5),
    ],
)
def test_a_dict_is_replaced_if_its_type_changes(new: Any, expected: Any) -> None:
    original: dict[str, Any] = {"a": {"type": "A", "m": 0, "n": 1}}

    deep_update(original, {"a": new}, True, override_all_if_type_changes=["a"])

    assert original == {"a": expected}


def test_a_dict_can_be_replaced_always() -> None:
    original: dict[str, Any] = {"a": {"x": 1}}

    assert deep_update(original, {"a": {"y": 2}}, override_all_key_list=["a"]) == {"a": {"y": 2}}
