"""Presets: configurations to try first, which fix values of a search space."""

from __future__ import annotations

from typing import Any

from localtune.error import SearchSpaceError
from localtune.search.containers import Path, children, path_text, rebuilt
from localtune.search.domains import Categorical, is_same
from localtune.search.variables import as_domain
from localtune.utils.text import did_you_mean


def with_preset(space: Any, preset: Any, path: Path = ()) -> Any:
    """Returns a search space in which the values of a preset replace the variables.

    Args:
        space: A search space or a part of it; it stays unchanged.
        preset: A value for it. For a dict or list with variables, it may give only some values.
        path: Path of both within the whole.

    Raises:
        KeyError: for a key that is not in the space.
        SearchSpaceError: for a value that the space cannot give.
    """
    if as_domain(space, path) is None and _same_kind(space, preset):
        parts = dict(children(space))
        updates = []
        for key, value in children(preset):
            if key not in parts:
                raise _unknown_key((*path, key), parts)
            updates.append((key, with_preset(parts[key], value, (*path, key))))
        return rebuilt(space, updates)
    if not can_give(space, preset, path):
        raise SearchSpaceError(
            f"{path_text(path)!r} is {preset!r}, which {space!r} in the search space cannot give. "
            "Change the value or the search space."
        )
    return preset


def can_give(space: Any, value: Any, path: Path = ()) -> bool:
    """Returns whether a part of a search space can have a value.

    Args:
        space: A search space or a part of it.
        value: The value.
        path: Path of both within the whole, for errors.
    """
    domain = as_domain(space, path)
    if isinstance(domain, Categorical):
        return any(can_give(category, value, path) for category in domain.categories)
    if domain is not None:
        return domain.is_valid(value)
    if _same_kind(space, value):
        parts, values = dict(children(space)), dict(children(value))
        return parts.keys() == values.keys() and all(
            can_give(part, values[key], (*path, key)) for key, part in parts.items()
        )
    return is_same(space, value)


def _same_kind(space: Any, value: Any) -> bool:
    """Returns whether both are dicts, or both are lists or tuples."""
    return any(
        isinstance(space, kinds) and isinstance(value, kinds) for kinds in (dict, (list, tuple))
    )


def _unknown_key(path: Path, known: dict[Any, Any]) -> KeyError:
    hint = did_you_mean(path[-1], known)
    return KeyError(f"{path_text(path)!r} is not in the search space.{hint}")
