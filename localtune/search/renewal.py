"""Merges a search space that is given again into the configurations of existing trials."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt
from localtune.search.domains import Domain
from localtune.search.variables import as_domain
from localtune.utils.text import one_line

# The address of an object in its text, which differs between runs.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str, bytes, type(None))


def plain_constants(space: Any) -> dict[str, Any]:
    """Returns {flat name: value} of the numbers, strings, bools and None in a search space."""
    leaves = _leaves(space, ())
    return {
        path_text(path): value
        for path, value, domain in leaves
        if domain is None and isinstance(value, _PLAIN)
    }


def domain_texts(space: Any) -> dict[str, str]:
    """Returns {flat name: text} of the domains, grids and functions in a search space."""
    return {
        path_text(path): _ADDRESS.sub("", one_line(value, None))
        for path, value, domain in _leaves(space, ())
        if domain is not None
    }


def _leaves(space: Any, path: Path) -> Iterator[tuple[Path, Any, Domain | None]]:
    """Yields (path, value, domain that it stands for or None) of each leaf of a search space."""
    domain = as_domain(space, path)
    if domain is None and isinstance(space, CONTAINERS):
        for key, part in children(space):
            yield from _leaves(part, (*path, key))
    else:
        yield path, space, domain


def with_new_space(
    config: dict[str, Any],
    space: dict[str, Any],
    drawn: Collection[str],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns a trial's configuration with the constants and objects of a new search space.

    Args:
        config: The configuration of a trial; it stays unchanged.
        space: The new search space.
        drawn: Flat names of the values that were chosen for the trial; they are kept.
        before: :func:`plain_constants` of the space that the trial was made from. If a value of
            ``config`` differs from it, a scheduler has changed the value, and it is kept.

    Returns:
        The new configuration. Values that were drawn or computed, and keys that are not in the
        space, are those of ``config``.

    Example:
        >>> from localtune.search.sample import uniform
        >>> space = {"lr": uniform(0, 1), "steps": 9, "decay": 0.5}
        >>> before = {"steps": 5, "decay": 0.5}
        >>> with_new_space({"lr": 0.1, "steps": 5, "decay": 0.7}, space, ["lr"], before)
        {'lr': 0.1, 'steps': 9, 'decay': 0.7}
    """
    new: dict[str, Any] = _Merge(drawn, before).part(config, space, ())
    return new


class _Merge:
    def __init__(self, drawn: Collection[str], before: Mapping[str, Any]) -> None:
        self._drawn = drawn
        self._before = before

    def part(self, old: Any, new: Any, path: Path) -> Any:
        """Returns the merged value at a path."""
        name = path_text(path)
        if (path and name in self._drawn) or as_domain(new, path) is not None:
            return old
        if isinstance(new, dict) and isinstance(old, dict):
            return self._dict(old, new, path)
        if isinstance(new, CONTAINERS) and isinstance(old, type(new)) and len(old) == len(new):
            pairs = zip(children(new), children(old), strict=True)
            return rebuilt(
                new, [(key, self.part(was, part, (*path, key))) for (key, part), (_, was) in pairs]
            )
        if _has_domain(new, path) or self._was_changed(name, old):
            return old
        return new

    def _dict(self, old: dict[Any, Any], new: dict[Any, Any], path: Path) -> dict[Any, Any]:
        merged = dict(old)
        for key, part in new.items():
            inner = (*path, key)
            if key in old:
                merged[key] = self.part(old[key], part, inner)
            elif not _has_domain(part, inner):
                merged[key] = part
        return merged

    def _was_changed(self, name: str, old: Any) -> bool:
        if name not in self._before or not isinstance(old, _PLAIN):
            return False
        before = self._before[name]
        return type(old) is not type(before) or bool(old != before)


def _has_domain(space: Any, path: Path) -> bool:
    if as_domain(space, path) is not None:
        return True
    return isinstance(space, CONTAINERS) and any(
        _has_domain(part, (*path, key)) for key, part in children(space)
    )
