from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.utils.json_encode import (
    SafeJsonEncoder,
    TuneFunctionDecoder,
    TuneFunctionEncoder,
    dumps,
    params_json,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.1, "0.1"),
        ("ä", '"\\u00e4"'),
        (None, "null"),
        (True, "true"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (-float("inf"), "-Infinity"),
        (np.float64("nan"), "NaN"),
        (np.float32("nan"), '"null"'),
        (np.float32(0.5), "0.5"),
        (np.float16("inf"), "Infinity"),
        (np.int64(7), "7"),
        (np.uint8(7), "7"),
        (np.bool_(True), "true"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.array(0.5), "0.5"),
        (np.array(["a"]), '["a"]'),
        ((1, 2), "[1, 2]"),
        (Decimal("0.5"), "0.5"),
        (Decimal("nan"), '"null"'),
        (Fraction(1, 4), "0.25"),
        (1j, '"1j"'),
        (Path("/a"), '"/a"'),
        (int, "\"<class 'int'>\""),
        ({1}, '"{1}"'),
        ({"a": {"b": [np.int64(1)]}}, '{"a": {"b": [1]}}'),
        ({2: 1, None: 3, True: 4}, '{"2": 1, "null": 3, "true": 4}'),
        ({("a", 1): 2}, "{\"('a', 1)\": 2}"),
        ({"x": [{np.int64(3): (1,)}]}, '{"x": [{"3": [1]}]}'),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert dumps(value) == text


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"b": 1, "a": 0.5, "c": None, "d": True, "e": 'two\nlines, "quoted": \u00e4\ud800'},
        {"nan": float("nan"), "inf": -float("inf"), "big": 10**50},
        {"too big": 10**5000, "a": 1},
        {"b": {"c": 1}, "a": [1, 2]},
        {"b": np.int64(1), "a": Path("x")},
        {1: 2, "a": 3},
    ],
)
def test_parameters_are_indented_and_sorted(config: dict[Any, Any]) -> None:
    text = dumps(config, indent=2, sort_keys=True)

    assert params_json(config) == text.encode("utf-8", "backslashreplace")


def test_indent_and_sorting() -> None:
    assert dumps({"b": 1, "a": 2}, indent=2, sort_keys=True) == '{\n  "a": 2,\n  "b": 1\n}'


def test_keys_that_cannot_be_compared_are_sorted_as_text() -> None:
    assert dumps({"b": 1, 10: 2, 9: 3}, sort_keys=True) == '{"10": 2, "9": 3, "b": 1}'


def test_the_encoder_serves_json_dump() -> None:
    assert json.dumps({"a": np.int64(1)}, cls=SafeJsonEncoder) == '{"a": 1}'


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_an_object_without_a_text_is_told_by_its_class() -> None:
    told = "<NoText: its text cannot be made>"
    assert json.loads(dumps({"a": NoText(), NoText(): 1})) == {"a": told, told: 1}


def test_an_integer_that_is_too_long_is_told_by_its_size() -> None:
    assert json.loads(dumps({"n": [10**5000, 1]})) == {"n": ["<an integer of 16610 bits>", 1]}


def test_a_container_that_holds_itself_comes_to_an_end() -> None:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    found = json.loads(dumps(value))
    assert found["self"]["self"]["a"] == 1


def test_functions_go_through_json_if_the_reader_allows_it() -> None:
    value = {"lr": np.float32(0.5), "layers": np.array([1, 2]), "act": lambda x: x + 1, "on": [max]}
    text = json.dumps(value, cls=TuneFunctionEncoder)

    read = json.loads(text, cls=TuneFunctionDecoder, allow_pickle=True)
    assert (read["lr"], read["layers"], read["act"](1), read["on"]) == (0.5, [1, 2], 2, [max])


def test_a_pickle_in_json_is_not_loaded_unasked() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("the pickle was loaded",))

    text = json.dumps({"a": 1, "b": Trap()}, cls=TuneFunctionEncoder)
    with pytest.raises(ValueError, match="Pass allow_pickle=True for text that you wrote"):
        json.loads(text, cls=TuneFunctionDecoder)
    assert json.loads('{"a": {"b": 1}}', cls=TuneFunctionDecoder) == {"a": {"b": 1}}
