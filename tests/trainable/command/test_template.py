"""Templates: braces, names, and what no template can reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.trainable.command.template import Template


@pytest.mark.parametrize(
    ("text", "filled", "names"),
    [
        ("", "", ()),
        ("--lr={lr}", "--lr=<lr>", ("lr",)),
        ("{a}{b/c}", "<a><b/c>", ("a", "b/c")),
        ("{{lr}}", "{lr}", ()),
        ("{{{lr}}}", "{<lr>}", ("lr",)),
        ("{ lr }", "<lr>", ("lr",)),
        ("{lr.real} {x[0]} {y!r} {z:.3g}", "<lr.real> <x[0]> <y!r> <z:.3g>", None),
    ],
)
def test_names_are_replaced_as_wholes(
    text: str, filled: str, names: tuple[str, ...] | None
) -> None:
    template = Template(text)
    assert template.filled(lambda name: f"<{name}>") == filled
    assert names is None or template.names == names
    assert (template.literal is None) == bool(template.names)


@pytest.mark.parametrize("text", ["{", "}", "{}", "{ }", "a{b", "a}b", "{a{b}}", "{{a}"])
def test_a_brace_that_belongs_to_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must belong to the name of a parameter"):
        Template(text)


@given(st.text(alphabet="{}ab/ "))
def test_doubled_braces_stand_for_any_text(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert Template(doubled).literal == text


@given(st.text(alphabet="{}a"), st.text(alphabet="{}a"))
def test_a_value_is_not_read_as_a_template(value: str, other: str) -> None:
    assert Template("{x}-{y}").filled({"x": value, "y": other}.get) == f"{value}-{other}"  # type: ignore[arg-type]
