"""Reads ``ray_names.tsv``: what scripts can import from Ray Tune 2.45 and what is around it.

Each line is a fact: a module, a name in it, its kind, and the names of its parameters.
"""

from __future__ import annotations

import inspect
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".tsv")


@dataclass(frozen=True)
class RayName:
    """One name.

    Attributes:
        module: Module that it is imported from, such as ``ray.tune.schedulers``.
        name: The name there.
        kind: ``class``, ``function``, ``module`` or ``value``.
        parameters: Names of its parameters, without those of ``*`` and ``**``, and without private
            ones, which are the original's own.
    """

    module: str
    name: str
    kind: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def ray_names(package: str) -> list[RayName]:
    """The names of a package and of the packages below it.

    Args:
        package: Dotted name, such as ``ray.tune``.
    """
    with open(FILE, encoding="utf-8", newline="") as file:
        rows = [
            RayName(row["module"], row["name"], row["kind"], _public(row["parameters"] or ""))
            for row in DictReader(file, delimiter="\t")
        ]
    return [row for row in rows if f"{row.module}.".startswith(f"{package}.")]


def kind_of(value: Any) -> str:
    """The kind of a value, as in the file."""
    if inspect.isclass(value):
        return "class"
    if inspect.ismodule(value):
        return "module"
    return "function" if callable(value) else "value"


def not_accepted(value: Any, parameters: tuple[str, ...]) -> list[str]:
    """The parameters that a function or class does not accept by name.

    Args:
        value: The function or class.
        parameters: Their names; none for any other value.
    """
    if not parameters:
        return []
    try:
        own = inspect.signature(value).parameters
    except ValueError:  # A built-in constructor, such as that of exceptions.
        own = inspect.signature(lambda *args: None).parameters
    if any(each.kind is each.VAR_KEYWORD for each in own.values()):
        return []
    return [name for name in parameters if name not in own]


def is_same_order(value: Any, parameters: tuple[str, ...]) -> bool:
    """Whether a function or class takes arguments by position as the original does.

    Args:
        value: The function or class.
        parameters: Names of the original's parameters, in their order.
    """
    if not parameters:
        return True
    by_position = [
        each.name
        for each in inspect.signature(value).parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    common = [name for name in parameters if name in by_position]
    return by_position[: len(common)] == common


def _public(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name and name[0] not in "*_")
