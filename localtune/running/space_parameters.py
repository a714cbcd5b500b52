"""Lists the parameters that the configurations of a search space can have.

::

    {"lr": uniform(0, 1),                          lr          certain
     "opt": choice([{"name": "sgd"},       --->    opt/name    certain
                    {"name": "adam",               opt/beta    in some configurations only
                     "beta": uniform(0, 1)}])}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localtune.search.computed import Computed
from localtune.search.containers import CONTAINERS, Path, children
from localtune.search.domains import Categorical
from localtune.search.variables import as_domain
from localtune.trainable.space_parameters import SpaceParameter

_Found = dict[Path, SpaceParameter]


def space_parameters(space: Mapping[Any, Any]) -> list[SpaceParameter]:
    """Returns the parameters that configurations can have, with the dicts that group them.

    Args:
        space: A search space that can be sampled.
    """
    # At the top, {"eval": ...} is a parameter of that name, and no expression.
    is_grid = space.keys() == {"grid_search"}
    found = _parameters(space, ()) if is_grid else _of_items(space, ())
    found.pop((), None)
    return list(found.values())


def _parameters(value: Any, path: Path) -> _Found:
    domain = as_domain(value, path)
    if isinstance(domain, Categorical):
        return _of_alternatives([_parameters(each, path) for each in domain.categories])
    if domain is not None:
        return {path: SpaceParameter(path, is_open=isinstance(domain, Computed))}
    if isinstance(value, dict) and value:
        return {path: SpaceParameter(path, is_group=True), **_of_items(value, path)}
    return {path: SpaceParameter(path, values=(value,) if _is_known(value) else ())}


def _of_items(items: Mapping[Any, Any], path: Path) -> _Found:
    found: _Found = {}
    for key, item in items.items():
        found.update(_parameters(item, (*path, key)))
    return found


def _is_known(value: Any) -> bool:
    """Tells whether nothing in a value is drawn or computed."""
    if as_domain(value, ()) is not None:
        return False
    return not isinstance(value, CONTAINERS) or all(_is_known(each) for _, each in children(value))


def _of_alternatives(alternatives: list[_Found]) -> _Found:
    """Returns the parameters of a choice: only those in all alternatives are certain."""
    merged: _Found = {}
    for found in alternatives:
        for path, each in found.items():
            known = merged.get(path)
            merged[path] = each if known is None else _either(known, each)
    return {
        path: replace(
            each, is_certain=each.is_certain and all(path in found for found in alternatives)
        )
        for path, each in merged.items()
    }


def _either(one: SpaceParameter, other: SpaceParameter) -> SpaceParameter:
    return SpaceParameter(
        one.path,
        is_certain=one.is_certain and other.is_certain,
        values=(*one.values, *other.values),
        is_open=one.is_open or other.is_open,
        is_group=one.is_group and other.is_group,
    )
