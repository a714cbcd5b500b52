"""The configuration of a trial that goes on, when its search space is given again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt
from localtune.search.domains import Domain
from localtune.search.variables import as_domain
from localtune.utils.text import one_line

# Where an object is in memory says nothing of it.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str, bytes, type(None))


def plain_constants(space: Any) -> dict[str, Any]:
    """{flat name: value} of the numbers, texts, bools and None that stand in a search space."""
    leaves = _leaves(space, ())
    return {
        path_text(path): value
        for path, value, domain in leaves
        if domain is None and isinstance(value, _PLAIN)
    }


def domain_texts(space: Any) -> dict[str, str]:
    """{flat name: text} of the domains, grids and functions that stand in a search space."""
    return {
        path_text(path): _ADDRESS.sub("", one_line(value, None))
        for path, value, domain in _leaves(space, ())
        if domain is not None
    }


def _leaves(space: Any, path: Path) -> Iterator[tuple[Path, Any, Domain | None]]:
    """(path, value, the domain that it stands for) of all that stands in a search space."""
    domain = as_domain(space, path)
    if domain is None and isinstance(space, CONTAINERS):
        for key, part in children(space):
            yield from _leaves(part, (*path, key))
    else:
        yield path, space, domain


def renewed(
    config: dict[str, Any],
    space: dict[str, Any],
    drawn: Collection[str],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """A configuration with the constants and objects of a search space that is given again.

    Args:
        config: The configuration of a trial; is left as it is.
        space: The search space.
        drawn: Flat names of what was chosen for the trial: they stay.
        before: :func:`plain_constants` of the space that the trial was made from. A value that
            differs from it was changed by a scheduler, and stays.

    Returns:
        The new configuration. What was drawn or computed, and what the space does not name, is
        that of ``config``.

    Example:
        >>> from localtune.search.sample import uniform
        >>> space = {"lr": uniform(0, 1), "steps": 9, "decay": 0.5}
        >>> before = {"steps": 5, "decay": 0.5}
        >>> renewed({"lr": 0.1, "steps": 5, "decay": 0.7}, space, ["lr"], before)
        {'lr': 0.1, 'steps': 9, 'decay': 0.7}
    """
    new: dict[str, Any] = _Renewal(drawn, before).part(config, space, ())
    return new


class _Renewal:
    def __init__(self, drawn: Collection[str], before: Mapping[str, Any]) -> None:
        self._drawn = drawn
        self._before = before

    def part(self, old: Any, new: Any, path: Path) -> Any:
        """The part of the configuration at a path."""
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
