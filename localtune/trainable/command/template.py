"""Argument templates: text with the names of parameters in braces.

::

    "--lr={lr}"   --Template-->   ("--lr=", Placeholder("lr"))   --filled-->   "--lr=0.1"
    "{{x}}"       ------------>   ("{x}",)                       ---------->   "{x}"

A name is looked up as a whole: no part of it is an attribute, an index or a format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Placeholder(NamedTuple):
    """The place of a value in a template.

    Attributes:
        name: Name of the value; the parts of a nested name are joined with ``/``.
        start: Position of the opening brace in the text.
    """

    name: str
    start: int


class Template:
    """A text with placeholders.

    Args:
        text: The text. ``{{`` and ``}}`` stand for one brace.

    Attributes:
        text: As given.
        parts: Literal texts and placeholders, in order.

    Raises:
        ValueError: for a brace that belongs to no placeholder.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = tuple(_parts_of(text))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all placeholders, in order."""
        return tuple(part.name for part in self.placeholders)

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """All placeholders, in order."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def literal(self) -> str | None:
        """The text if it has no placeholder, with single braces; else None."""
        return None if self.placeholders else "".join(map(str, self.parts))

    def filled(self, text_of: Callable[[str], str]) -> str:
        """Returns the text with the value of each placeholder in its place.

        Args:
            text_of: Returns the text for a name.
        """
        return "".join(part if isinstance(part, str) else text_of(part.name) for part in self.parts)


def _parts_of(text: str) -> Iterator[str | Placeholder]:
    literal: list[str] = []
    position = 0
    while position < len(text):
        each = text[position]
        if each in "{}" and text.startswith(2 * each, position):
            literal.append(each)
            position += 2
        elif each == "{":
            end = text.find("}", position)
            name = text[position + 1 : end].strip()
            if end < 0 or not name or "{" in name:
                raise ValueError(_problem(text, position))
            if literal:
                yield "".join(literal)
                literal = []
            yield Placeholder(name, position)
            position = end + 1
        elif each == "}":
            raise ValueError(_problem(text, position))
        else:
            literal.append(each)
            position += 1
    if literal:
        yield "".join(literal)


def _problem(text: str, position: int) -> str:
    return (
        f"A brace in a command must belong to the name of a parameter, as in '--lr={{lr}}', but "
        f"the one at position {position} of {text!r} does not. Write {2 * text[position]!r} for a "
        "brace of the command itself."
    )
