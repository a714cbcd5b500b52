"""Values of a configuration as text, by name and as environment variables."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest

from localtune.trainable.command.values import (
    flat_values,
    number_of,
    text_of_value,
    variables_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b;$c", "a b;$c"),
        ("", ""),
        (1e-5, "1e-05"),
        (0.1, "0.1"),
        (3, "3"),
        (True, "True"),
        (None, "None"),
        (numpy.float64(0.1), "0.1"),
        (numpy.int64(3), "3"),
        (numpy.bool_(True), "True"),
        ([1, "ä", None], '[1, "ä", null]'),
        ((1, 2), "[1, 2]"),
        ({"a": numpy.float32(0.5)}, '{"a": 0.5}'),
        (numpy.array([1.5, 2]), "[1.5, 2.0]"),
    ],
)
def test_values_have_a_text(value: Any, text: str) -> None:
    assert text_of_value("x", value) == text


@pytest.mark.parametrize("value", [object(), len, {1, 2}, b"bytes", [object()], {"a": print}])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="parameter 'x' cannot be passed to a program"):
        text_of_value("x", value)


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        text_of_value("x", "a\0b")


def test_nested_parameters_have_names_at_each_level() -> None:
    config = {"model": {"lr": 0.1, "sizes": [1, 2]}, "empty": {}, 3: "x"}
    assert flat_values(config) == {
        "model": config["model"],
        "model/lr": 0.1,
        "model/sizes": [1, 2],
        "empty": {},
        "3": "x",
    }
    assert variables_of(flat_values(config)) == {
        "LOCALTUNE_PARAM_MODEL__LR": "0.1",
        "LOCALTUNE_PARAM_MODEL__SIZES": json.dumps([1, 2]),
        "LOCALTUNE_PARAM_EMPTY": "{}",
        "LOCALTUNE_PARAM_3": "x",
    }


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same name 'a/b'"):
        flat_values({"a/b": 1, "a": {"b": 2}})


@pytest.mark.parametrize("other", ["LR", "l_r"])
def test_two_parameters_of_one_variable_are_refused(other: str) -> None:
    names = {"lr": 1, "l-r": 1, other: 2}
    with pytest.raises(ValueError, match="the same environment variable LOCALTUNE_PARAM_L"):
        variables_of(names)


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("-2.5e3", -2500.0), ("inf", float("inf")), ("1,5", "1,5")]
)
def test_texts_that_are_numbers_become_numbers(text: str, number: Any) -> None:
    assert number_of(text) == number
