"""Calls functions and classes with those arguments that they accept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from localtune.utils.text import did_you_mean

_T = TypeVar("_T")


def make_by_name(
    argument: str, name: object, known: Mapping[str, type[_T]], arguments: Mapping[str, Any]
) -> _T:
    """Makes an object of the class that a name refers to.

    Args:
        argument: Name of the argument that holds ``name``, for the error message.
        name: Name of the class, in upper or lower case.
        known: {name in lower case: class}.
        arguments: Arguments for the class; those that its signature does not accept are ignored.

    Raises:
        ValueError: for an unknown name.
    """
    wanted = str(name).lower()
    if wanted not in known:
        raise ValueError(
            f"{argument} must be one of {', '.join(sorted(known))}, but got {name!r}."
            f"{did_you_mean(wanted, known)}"
        )
    return known[wanted](**accepted(known[wanted], arguments))


def accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those arguments that a function accepts by name.

    Args:
        function: A function or a class.
        arguments: {name: value}.

    Example:
        >>> accepted(lambda depth: depth, {"depth": 3, "width": 4})
        {'depth': 3}
    """
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return dict(arguments)
    return {name: value for name, value in arguments.items() if name in parameters}


def get_function_args(callable: Callable[..., Any]) -> list[str]:
    """Returns the names of the arguments of a function or class.

    Args:
        callable: The function or class.

    Example:
        >>> get_function_args(lambda depth, width=4: depth)
        ['depth', 'width']
    """
    return list(inspect.signature(callable).parameters)
