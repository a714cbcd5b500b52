"""Trainables of an old shape: what functions take, and what classes define."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from localtune.old_names import use as old
from localtune.old_names.rows.trainables import TODAY, WITH_DIRECTORY, WITH_REPORTER

if TYPE_CHECKING:
    # Workers load this module, and call none of its functions that look at signatures.
    import inspect


def today_function(function: Callable[..., Any], bound: Collection[str] = ()) -> Callable[..., Any]:
    """Returns a function trainable that takes a config alone, for one of an old shape.

    The translation of both shapes is a function of ``(function, argument)``.

    Args:
        function: Any function trainable; one of today's shape is returned as it is.
        bound: Names of arguments that will get values.

    Raises:
        OldNameError: for an old shape, without ``localtune.compat``.
    """
    for name, find in ((WITH_REPORTER, _reporter_of), (WITH_DIRECTORY, _directory_of)):
        argument = find(function, bound)
        if argument is not None:
            function = old.translated(name, function, argument)
    return function


def adapt_class(cls: type, base: type) -> None:
    """Gives a class with ``_train`` and without ``step`` today's methods, if names are translated.

    The translation of a method is a function of ``(class, old method, method of today)``.

    Args:
        cls: A class that is being defined.
        base: ``Trainable``.
    """
    if old.is_accepted() and _is_old(cls, base):
        members = vars(cls)
        for name, today in TODAY.items():
            if name in members and today not in members:
                old.translated(f"Trainable.{name}", cls, name, today)


def refuse_old_class(cls: type, base: type) -> None:
    """Refuses a class that has ``_train`` in place of ``step``.

    A class that is being defined may get its ``step`` from a class below it.

    Args:
        cls: A class of which a trainable is to be made.
        base: ``Trainable``.

    Raises:
        OldNameError: for such a class, without ``localtune.compat``.
    """
    if not old.is_accepted() and _is_old(cls, base):
        members = {name for each in cls.__mro__ if each is not base for name in vars(each)}
        old.refuse(f"Trainable.{name}" for name in TODAY if name in members)


def _is_old(cls: type, base: type) -> bool:
    classes = [each for each in cls.__mro__ if each is not base]
    is_old = any("_train" in vars(each) for each in classes)
    return is_old and not any(map(_has_own_step, classes))


def _has_own_step(cls: type) -> bool:
    step = vars(cls).get("step")
    return step is not None and step is not vars(cls).get("_train")


def _reporter_of(function: Callable[..., Any], bound: Collection[str]) -> str | None:
    parameters = _free_parameters(function, bound)
    for each in parameters[1:]:
        if each.name == "reporter" and not _is_own(each):
            return each.name
    required = [each for each in parameters if each.default is each.empty]
    if len(required) == 2 and required[1].name.endswith(("report", "reporter")):
        return required[1].name
    return None


def _directory_of(function: Callable[..., Any], bound: Collection[str]) -> str | None:
    for each in _free_parameters(function, bound)[1:]:
        if each.name == "checkpoint_dir" and not _is_own(each):
            return each.name
    return None


def _is_own(parameter: inspect.Parameter) -> bool:
    """Tells whether an argument is the user's own: it has a value as default, such as a path."""
    default = parameter.default
    is_empty = default is parameter.empty or default is None or default is False
    return not is_empty and not (isinstance(default, str) and not default)


def _free_parameters(
    function: Callable[..., Any], bound: Collection[str]
) -> list[inspect.Parameter]:
    """Returns the parameters of a function that can be given by name and have no value yet."""
    import inspect

    values = set(bound)
    inner: Any = function
    while isinstance(inner, functools.partial):
        values |= inner.keywords.keys()
        inner = inner.func
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []  # A function written in C may have no signature.
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each for each in parameters if each.kind in kinds and each.name not in values]
