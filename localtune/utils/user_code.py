"""Finds the functions and classes that a trainable consists of, without running them."""

from __future__ import annotations

import functools
from types import FunctionType, MethodType
from typing import Any

# A mock has endlessly many.
_MOST_WRAPPERS = 32
_OWN = "localtune"


def unwrapped(trainable: Any) -> Any:
    """Returns the function or class that an object calls; None if it is not known."""
    for _ in range(_MOST_WRAPPERS):
        inner = None
        if isinstance(trainable, functools.partial):
            inner = trainable.func
        elif isinstance(trainable, MethodType):
            inner = trainable.__func__
        elif not isinstance(trainable, type):
            inner = _attribute(trainable, "__wrapped__") or _attribute(trainable, "_function")
        if inner is None:
            break
        trainable = inner
    if isinstance(trainable, (FunctionType, type)):
        return trainable
    # An object with a method __call__.
    return (
        type(trainable) if isinstance(vars(type(trainable)).get("__call__"), FunctionType) else None
    )


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # a property of the user's
        return None


def methods_of(cls: type) -> list[Any]:
    """Returns what can be called of a class and its bases, except those of localtune."""
    methods = []
    for each in cls.__mro__:
        if not is_own(each) and each is not object:
            methods += [_function_in(value) for value in vars(each).values()]
    return [each for each in methods if callable(each)]


def _function_in(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, (staticmethod, classmethod)) else member


def is_own(value: Any) -> bool:
    """Tells whether a function or class is defined in localtune."""
    return (value.__module__ or "").partition(".")[0] == _OWN
