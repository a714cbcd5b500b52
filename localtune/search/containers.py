"""Dicts, lists, tuples and sets: what is looked into, and copied, for each trial."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeAlias

# Keys of dicts and positions in sequences, from the outside in.
Path: TypeAlias = tuple[Any, ...]

CONTAINERS = (dict, list, tuple, set)


def path_text(path: Path) -> str:
    """The path as one flat key; that of the whole is ``config``."""
    return "/".join(map(str, path or ("config",)))


def path_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key: positions by number, before names by alphabet."""
    return tuple((0, part, "") if isinstance(part, int) else (1, 0, str(part)) for part in path)


def children(container: Any) -> list[tuple[Any, Any]]:
    """(key or position, value) of all that the container holds; nothing for sets."""
    if isinstance(container, dict):
        return list(container.items())
    if isinstance(container, set):
        return []
    return list(enumerate(container))


def rebuilt(container: Any, updates: Iterable[tuple[Any, Any]]) -> Any:
    """A copy of the container, of the same type, with some values replaced."""
    if isinstance(container, tuple):
        items = list(container)
        for position, value in updates:
            items[position] = value
        if all(new is old for new, old in zip(items, container, strict=True)):
            return container
        make = getattr(container, "_make", type(container))
        return make(items)
    # For the exact types, the fast way.
    new = container.copy() if type(container) in CONTAINERS else copy.copy(container)
    for key, value in updates:
        new[key] = value
    return new
