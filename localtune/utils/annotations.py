"""Marks of interfaces, which user code may import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def PublicAPI(*args: Any, **kwargs: Any) -> Any:  # the name that scripts import
    """Marks a class or function as public, for its readers only.

    Args:
        *args: The class or function, if the mark has no arguments.
        **kwargs: Anything about the interface, such as ``stability="beta"``.

    Returns:
        The class or function itself; with arguments, a decorator that returns it.

    Example:
        >>> @PublicAPI(stability="beta")
        ... def area(radius):
        ...     return 3.14 * radius**2
        >>> round(area(1), 2)
        3.14
    """
    if len(args) == 1 and callable(args[0]) and not kwargs:
        return args[0]
    return _unchanged


def _unchanged(marked: Callable[..., Any]) -> Callable[..., Any]:
    return marked
