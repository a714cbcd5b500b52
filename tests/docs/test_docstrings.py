"""What users can import is described: all of it, and with the names that it really has."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.docs.definitions import definitions
from tests.docs.reference import documented_modules, names_of

EVERYTHING = sorted(
    {value for module in documented_modules() for value in names_of(module).values()},
    key=lambda value: (value.__module__, value.__qualname__),
)

_ENTRY = re.compile(r"    \**`{0,2}\**(\w+)`{0,2}(?: \([^)]*\))?(?:,|:)")


def documented_arguments(docstring: str) -> list[str]:
    """The names below ``Args:``."""
    found: list[str] = []
    is_inside = False
    for line in docstring.splitlines():
        if line == "Args:":
            is_inside = True
        elif is_inside and line and not line.startswith(" "):
            break
        elif is_inside and (match := _ENTRY.match(line)):
            # `first, second: both of them`
            head = line.partition(":")[0]
            found += (
                re.findall(r"\w+", re.sub(r"\([^)]*\)", "", head)) if "," in head else [match[1]]
            )
    return found


def methods_of(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public methods that a class itself defines, without overrides."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        is_override = any(hasattr(base, name) for base in cls.__mro__[1:])
        if inspect.isfunction(function) and not name.startswith("_") and not is_override:
            yield name, function


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize("thing", EVERYTHING, ids=lambda each: f"{each.__module__}.{each.__name__}")
def test_it_has_a_docstring_whose_arguments_exist(thing: Any) -> None:
    described = [(thing.__qualname__, thing)]
    if inspect.isclass(thing):
        described += [(f"{thing.__qualname__}.{name}", each) for name, each in methods_of(thing)]

    problems = []
    for name, each in described:
        own = vars(each).get("__doc__") if inspect.isclass(each) else each.__doc__
        if not own:
            problems.append(f"{name} has no docstring")
            continue
        arguments = documented_arguments(inspect.cleandoc(own))
        unknown = set(arguments) - parameters(each) if arguments else set()
        problems += [f"{name} has no argument {argument}" for argument in sorted(unknown)]
    assert problems == []


def test_arguments_are_found_in_docstrings() -> None:
    arguments = ["    first: One.", "        More: of it.", "    *rest: All.", "    x, y: Two."]
    text = "\n".join(["Does.", "", "Args:", *arguments, "", "End: no."])

    assert documented_arguments(text) == ["first", "rest", "x", "y"]


def test_a_docstring_of_several_arguments_describes_them() -> None:
    # An override has the docstring of its base class. A docstring may refer to another method.
    undescribed = [
        each.name
        for each in definitions()
        if each.docstring and len(each.arguments) > 1 and not each.is_override
        if "\nArgs:\n" not in each.docstring and not each.docstring.startswith("See :meth:")
    ]
    assert undescribed == []


def test_the_first_line_of_a_docstring_is_a_sentence() -> None:
    unended = [
        each.name
        for each in definitions()
        if each.docstring and not each.docstring.partition("\n")[0].endswith(".")
    ]
    assert unended == []
