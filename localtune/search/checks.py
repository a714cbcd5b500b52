"""Checks of the values that users give for a search space."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

from localtune.error import SearchSpaceError
from localtune.utils.messages import warn


def number(name: str, value: Any) -> float:
    """Returns ``value`` as a float.

    Args:
        name: Name of the value, for errors.
        value: Any value.

    Raises:
        SearchSpaceError: if the value is no number, or NaN.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise SearchSpaceError(f"{name} must be a number, but got {value!r}.")
    result = float(value)
    if math.isnan(result):
        raise SearchSpaceError(f"{name} must be a number, but got NaN.")
    return result


def finite_number(name: str, value: Any) -> float:
    """Returns ``value`` as a float.

    Args:
        name: Name of the value, for errors.
        value: Any value.

    Raises:
        SearchSpaceError: if the value is no number, or not finite.
    """
    result = number(name, value)
    if math.isinf(result):
        raise SearchSpaceError(f"{name} must be finite, but got {value!r}.")
    return result


def whole_number(name: str, value: Any) -> int:
    """Returns ``value`` as an int.

    Args:
        name: Name of the value, for errors.
        value: Any value.

    Raises:
        SearchSpaceError: if the value is no whole number.
    """
    if hasattr(value, "__index__"):
        return operator.index(value)
    result = finite_number(name, value)
    if result != int(result):
        raise SearchSpaceError(f"{name} must be a whole number, but got {value!r}.")
    return int(value)


def values_of(what: str, values: Iterable[Any]) -> list[Any]:
    """Returns the values of a choice as a list, with NumPy's numbers converted to Python's.

    Args:
        what: Name of the function that got the values, for errors.
        values: Any iterable.

    Raises:
        TypeError: if ``values`` cannot be iterated over.
        SearchSpaceError: if it is empty.
    """
    if getattr(values, "ndim", None) == 1 and getattr(
        getattr(values, "dtype", None), "kind", ""
    ) in tuple("biufUS"):
        values = values.tolist()  # type: ignore[attr-defined]
    try:
        # The order of a set differs between runs. Sorting it keeps runs repeatable.
        listed = sorted(values, key=repr) if isinstance(values, (set, frozenset)) else list(values)
    except TypeError as error:
        raise TypeError(f"{what} needs an iterable of values, but got {values!r}.") from error
    if not listed:
        raise SearchSpaceError(f"{what} needs at least one value, but got none.")
    return listed


def grid_values(what: str, values: Any) -> list[Any]:
    """Returns the values of a grid as a list.

    Args:
        what: Name of the grid, for errors.
        values: Any iterable except text.

    Raises:
        SearchSpaceError: if ``values`` cannot be iterated over, is text, or is empty.
    """
    if isinstance(values, (str, bytes)):
        raise SearchSpaceError(f"{what} needs a list of values, but got {values!r}.")
    try:
        return values_of(what, values)
    except TypeError as error:
        raise SearchSpaceError(str(error)) from error


def ignore_base(base: float) -> None:
    """Warns the caller's caller of a base: a log-uniform distribution does not depend on it."""
    if base != 10:
        warn(
            f"base={base!r} is ignored: the base does not change a log-uniform distribution.",
            DeprecationWarning,
            stacklevel=3,
        )
