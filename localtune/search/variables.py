"""as_domain: recognises the variables of a search space."""

from __future__ import annotations

from typing import Any

from localtune.search.checks import grid_values
from localtune.search.computed import Expression
from localtune.search.containers import Path, path_text
from localtune.search.domains import Categorical, Domain


def as_domain(value: Any, path: Path) -> Domain | None:
    """Returns the domain that a value of a search space stands for.

    Args:
        value: A domain, ``{"grid_search": values}``, ``{"eval": expression}``, or anything.
        path: Path of the value, for errors.

    Returns:
        None if the value is a constant.

    Raises:
        SearchSpaceError: for a grid without values, or an invalid expression.
    """
    if isinstance(value, Domain):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        return None
    if "grid_search" in value:
        where = f"grid_search at {path_text(path)!r}"
        return Categorical(grid_values(where, value["grid_search"])).grid()
    if isinstance(value.get("eval"), str):
        return Expression(value["eval"])
    return None
