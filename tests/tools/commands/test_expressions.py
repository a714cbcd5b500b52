"""Values typed as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import UsageError
from localtune.search.sample import Categorical, Float, Integer
from localtune.tools.commands.expressions import (
    DOMAINS,
    key_and_value,
    named_call,
    value_of,
    with_calls,
)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_the_repr_of_a_plain_value_means_that_value(value: Any) -> None:
    assert value_of(repr(value)) == value


@given(st.text())
def test_any_text_means_something_or_is_refused_with_reason(text: str) -> None:
    try:
        value_of(text)
    except UsageError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1e-3", -1e-3),
        ("relu", "relu"),
        ("/data/a b.csv", "/data/a b.csv"),
        ("a=b", "a=b"),
        ("'3'", "3"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("(1, 2)", (1, 2)),
        ("[1, true]", [1, True]),
        ("grid_search([1, 2])", {"grid_search": [1, 2]}),
        ("1 + 1", "1 + 1"),
        ("", ""),
    ],
)
def test_literals_have_their_type_and_all_else_is_text(text: str, value: Any) -> None:
    found = value_of(text)

    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("prefix", ["", "tune.", "localtune."])
def test_calls_make_domains(prefix: str) -> None:
    drawn = value_of(f"{prefix}loguniform(1e-4, 1e-1)")

    assert isinstance(drawn, Float) and (drawn.lower, drawn.upper) == (1e-4, 1e-1)


def test_arguments_may_have_names_and_be_calls() -> None:
    outer = value_of("choice([randint(lower=0, upper=9), -3])")

    assert isinstance(outer, Categorical)
    assert isinstance(outer.categories[0], Integer) and outer.categories[1] == -3


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("loguinform(1, 2)", "Did you mean 'loguniform'?"),
        ("os.system('x')", "no function of search spaces 'os.system'"),
        ("__import__('os')", "no function of search spaces '__import__'"),
        ("choice([1, 2]", "cannot be read"),
        ("choice([relu])", "a text needs quotes"),
        ("choice([x for x in y])", "neither a literal nor a call"),
        ("uniform(2, 1)", "lower must be at most upper"),
        ("uniform(1)", "makes no search space"),
        ("uniform(0, 1).sample()", "There is no function"),
        ("uniform(**{'lower': 1})", "'**'"),
        ("{[1]: 2}", "unhashable"),
        ("sample_from(print)", "write the search space in a script"),
        ("choice([1 + 1])", "'1 + 1'"),
        ("choice(" * 3000, "cannot be read"),
    ],
)
def test_what_cannot_be_made_is_refused(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        value_of(text)

    assert part in str(caught.value)


def test_functions_of_search_spaces_are_known() -> None:
    assert {"uniform", "grid_search", "qlograndint", "randn"} <= DOMAINS.keys()
    assert "sample_from" not in DOMAINS and "Float" not in DOMAINS


def test_only_calls_are_read_in_a_file() -> None:
    value = with_calls({"lr": "uniform(0, 1)", "n": "3", "inner": [{"k": "randint(0, 2)"}]})

    assert isinstance(value["lr"], Float)
    assert value["n"] == "3"
    assert isinstance(value["inner"][0]["k"], Integer)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("asha", ("asha", {})),
        ("asha(max_t=9, mode='min')", ("asha", {"max_t": 9, "mode": "min"})),
        ("pbt()", ("pbt", {})),
    ],
)
def test_a_name_may_have_arguments(text: str, found: Any) -> None:
    assert named_call(text) == found


@pytest.mark.parametrize("text", ["asha(9)", "a.b(c=1)", "asha(max_t=9"])
def test_arguments_of_a_name_have_names(text: str) -> None:
    with pytest.raises(UsageError):
        named_call(text)


def test_the_first_sign_separates_key_and_value() -> None:
    assert key_and_value(" a = b=c ", "x=1") == ("a", "b=c")


@pytest.mark.parametrize("text", ["lr", "=3", ""])
def test_a_value_needs_a_key(text: str) -> None:
    with pytest.raises(UsageError, match="must be KEY=VALUE, such as 'x=1'"):
        key_and_value(text, "x=1")
