"""Checks of what users give for a search space."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

from localtune.error import SearchSpaceError
from localtune.utils.messages import warn


def number(name: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        SearchSpaceError: if it is no number, or NaN.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise SearchSpaceError(f"{name} must be a number, but got {value!r}.")
    result = float(value)
    if math.isnan(result):
        raise SearchSpaceError(f"{name} must be a number, but got NaN.")
    return result


def finite_number(name: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        SearchSpaceError: if it is no number, or not finite.
    """
    result = number(name, value)
    if math.isinf(result):
        raise SearchSpaceError(f"{name} must be finite, but got {value!r}.")
    return result


def whole_number(name: str, value: Any) -> int:
    """``value`` as an int.

    Raises:
        SearchSpaceError: if it is no whole number.
    """
    if hasattr(value, "__index__"):
        return operator.index(value)
    result = finite_number(name, value)
    if result != int(result):
        raise SearchSpaceError(f"{name} must be a whole number, but got {value!r}.")
    return int(value)


def values_of(what: str, values: Iterable[Any]) -> list[Any]:
    """The values of a choice as a list, with NumPy's numbers as Python's.

    Args:
        what: Name of the function that got them, for errors.
        values: Any iterable.

    Raises:
        TypeError: if they cannot be iterated over.
        SearchSpaceError: if there are none.
    """
    if getattr(values, "ndim", None) == 1 and getattr(
        getattr(values, "dtype", None), "kind", ""
    ) in tuple("biufUS"):
        values = values.tolist()  # type: ignore[attr-defined]
    try:
        # A set has no order of its own; one that differs between runs would undo every seed.
        listed = sorted(values, key=repr) if isinstance(values, (set, frozenset)) else list(values)
    except TypeError as error:
        raise TypeError(f"{what} needs an iterable of values, but got {values!r}.") from error
    if not listed:
        raise SearchSpaceError(f"{what} needs at least one value, but got none.")
    return listed


def grid_values(what: str, values: Any) -> list[Any]:
    """The values of a grid as a list.

    Raises:
        SearchSpaceError: if they cannot be iterated over, are text, or there are none.
    """
    if isinstance(values, (str, bytes)):
        raise SearchSpaceError(f"{what} needs a list of values, but got {values!r}.")
    try:
        return values_of(what, values)
    except TypeError as error:
        raise SearchSpaceError(str(error)) from error


def ignore_base(base: float) -> None:
    """Warns the caller's caller if it set a base: a log-uniform distribution has none."""
    if base != 10:
        warn(
            f"base={base!r} is ignored: the base does not change a log-uniform distribution.",
            DeprecationWarning,
            stacklevel=3,
        )
