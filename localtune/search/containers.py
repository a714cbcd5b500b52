"""Access to the containers of configurations: dicts, lists, tuples and sets."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeAlias

# Keys of dicts and positions in sequences, the outermost first.
Path: TypeAlias = tuple[Any, ...]

CONTAINERS = (dict, list, tuple, set)


def path_text(path: Path) -> str:
    """Returns a path as one flat key; the empty path is ``config``."""
    return "/".join(map(str, path or ("config",)))


def path_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Returns the sort key of a path: positions by number come before names by alphabet."""
    return tuple((0, part, "") if isinstance(part, int) else (1, 0, str(part)) for part in path)


def children(container: Any) -> list[tuple[Any, Any]]:
    """Returns (key or position, value) of each item of a container; none for sets."""
    if isinstance(container, dict):
        return list(container.items())
    if isinstance(container, set):
        return []
    return list(enumerate(container))


def rebuilt(container: Any, updates: Iterable[tuple[Any, Any]]) -> Any:
    """Returns a copy of a container, of the same type, with some values replaced.

    Args:
        container: A dict, list, tuple or set.
        updates: (key or position, new value) of each replaced item.
    """
    if isinstance(container, tuple):
        items = list(container)
        for position, value in updates:
            items[position] = value
        if all(new is old for new, old in zip(items, container, strict=True)):
            return container
        make = getattr(container, "_make", type(container))
        return make(items)
    # The method copy() is faster, and exact for the built-in types only.
    new = container.copy() if type(container) in CONTAINERS else copy.copy(container)
    for key, value in updates:
        new[key] = value
    return new
