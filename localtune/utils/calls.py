"""Calling things with the arguments that they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from localtune.utils.text import near_miss

_T = TypeVar("_T")


def make_by_name(
    argument: str, name: object, known: Mapping[str, type[_T]], arguments: Mapping[str, Any]
) -> _T:
    """Makes an object of the class that a name means.

    Args:
        argument: What the name is called in an error.
        name: In upper or lower case.
        known: {name in lower case: class}.
        arguments: For the class; what it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.
    """
    wanted = str(name).lower()
    if wanted not in known:
        guess = near_miss(wanted, known)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ValueError(
            f"{argument} must be one of {', '.join(sorted(known))}, but got {name!r}.{hint}"
        )
    return known[wanted](**accepted(known[wanted], arguments))


def accepted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a function takes by name.

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
