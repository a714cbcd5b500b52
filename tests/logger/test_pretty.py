from __future__ import annotations

import math

import numpy as np
import pytest

from localtune.logger.pretty import pretty_print


def test_prints_nested_results_as_yaml_in_alphabetical_order() -> None:
    result = {"loss": 0.5, "info": {"sizes": [1, 2], "empty": {}, "none": []}, "done": False}

    assert pretty_print(result) == (
        "done: false\ninfo:\n  empty: {}\n  none: []\n  sizes:\n  - 1\n  - 2\nloss: 0.5\n"
    )


def test_leaves_out_config_histograms_and_none() -> None:
    result = {"config": {"lr": 1}, "hist_stats": [1], "gone": None, "loss": 1, "in": {"x": None}}

    assert pretty_print(result) == "in:\n  x: null\nloss: 1\n"


def test_leaves_out_excluded_keys() -> None:
    assert pretty_print({"loss": 1, "pid": 2, "date": 3}, exclude=["pid", "date"]) == "loss: 1\n"


def test_a_result_with_nothing_to_show_is_an_empty_mapping() -> None:
    assert pretty_print({}) == "{}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, ".nan"),
        (math.inf, ".inf"),
        (-math.inf, "-.inf"),
        (1e-5, "1.0e-05"),
        (1.5e300, "1.5e+300"),
        (True, "true"),
        ("plain text", "plain text"),
        ("2024-01-01", '"2024-01-01"'),
        ("yes", '"yes"'),
        ("", '""'),
        ("a: b", '"a: b"'),
        ("two\nlines", r'"two\nlines"'),
        ("\x7f\u2028", r'"\x7f\u2028"'),
        ("größe", "größe"),
        ("größe!", '"größe!"'),
        (np.float32(0.5), "0.5"),
        (np.array([1, 2]), "\n- 1\n- 2"),
        (len, '"<built-in function len>"'),
    ],
)
def test_yaml_reads_each_value_back(value: object, text: str) -> None:
    separator = "" if text.startswith("\n") else " "

    assert pretty_print({"x": value}) == f"x:{separator}{text}\n"


def test_lists_hold_lists_and_mappings() -> None:
    result = {"x": [[1, [2]], {"b": [3], "a": {"c": 4}}, {}]}

    assert pretty_print(result) == ("x:\n- - 1\n  - - 2\n- a:\n    c: 4\n  b:\n  - 3\n- {}\n")


def test_the_result_is_left_as_it_is() -> None:
    result = {"config": {}, "x": {"y": 1}}
    pretty_print(result)

    assert result == {"config": {}, "x": {"y": 1}}
