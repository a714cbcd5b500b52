"""Calling things with the arguments that they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


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
