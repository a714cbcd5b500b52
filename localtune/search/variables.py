"""Which values of a search space stand for others."""

from __future__ import annotations

from typing import Any

from localtune.search.checks import grid_values
from localtune.search.computed import Expression
from localtune.search.containers import Path, path_text
from localtune.search.domains import Categorical, Domain


def as_domain(value: Any, path: Path) -> Domain | None:
    """The domain that a value stands for, None for all that is no variable.

    Args:
        value: A domain, ``{"grid_search": values}``, ``{"eval": expression}``, or anything.
        path: Where it stands, for errors.

    Raises:
        SearchSpaceError: for a grid without values, or an expression that is none.
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
