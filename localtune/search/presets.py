"""Configurations that the user wants tried first: parts of a search space with fixed values."""

from __future__ import annotations

from typing import Any

from localtune.error import SearchSpaceError
from localtune.search.containers import Path, children, path_text, rebuilt
from localtune.search.domains import Categorical, is_same
from localtune.search.variables import as_domain
from localtune.utils.text import near_miss


def with_preset(space: Any, preset: Any, path: Path = ()) -> Any:
    """The search space with the values of a preset in the place of what it says there.

    Args:
        space: A search space or a part of it; left as it is.
        preset: Value for it; for a dict or list with variables inside, values for some of them.
        path: Where it stands.

    Raises:
        KeyError: for a key that the space does not have.
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
            "Change the point or the search space."
        )
    return preset


def can_give(space: Any, value: Any, path: Path = ()) -> bool:
    """Whether a part of a search space can take on a value."""
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
    """Whether both are dicts, or both lists or tuples."""
    return any(
        isinstance(space, kinds) and isinstance(value, kinds) for kinds in (dict, (list, tuple))
    )


def _unknown_key(path: Path, known: dict[Any, Any]) -> KeyError:
    close = near_miss(str(path[-1]), map(str, known))
    hint = f" Did you mean {close!r}?" if close else ""
    return KeyError(f"{path_text(path)!r} is not in the search space.{hint}")
