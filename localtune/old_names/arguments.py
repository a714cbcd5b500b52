"""Old arguments of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from localtune.old_names import use as old
from localtune.old_names.table import OLD_NAMES

_P = ParamSpec("_P")
_R = TypeVar("_R")


def old_arguments(function_name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Makes a decorator that refuses, or translates, the old arguments of a function.

    The old arguments are the rows ``NAME(ARGUMENT=)`` of the table. A translation is a function of
    ``(args, kwargs)`` that returns both without old arguments, registered as ``NAME()``.

    Args:
        function_name: The function's name in the table, such as ``tune.run``.

    Returns:
        A decorator, for functions and for the ``__init__`` of classes.
    """
    names = {
        name[len(function_name) + 1 : -2]: name
        for name in OLD_NAMES
        if name.startswith(f"{function_name}(") and name.endswith("=)")
    }
    key = f"{function_name}()"

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            found = [names[each] for each in kwargs if each in names]
            if found:
                for each in found:
                    old.use(each)
                args, kwargs = old.translations[key](args, kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def old_arguments_of_class(class_name: str) -> Callable[[type[_R]], type[_R]]:
    """Makes a decorator like :func:`old_arguments` for the constructor of a class.

    Args:
        class_name: The class's name in the table, such as ``RunConfig``.

    Returns:
        A decorator that changes the class's ``__init__``.
    """

    def decorate(cls: type[_R]) -> type[_R]:
        constructor: Any = vars(cls)["__init__"]
        setattr(cls, "__init__", old_arguments(class_name)(constructor))  # noqa: B010
        return cls

    return decorate


def old_report(report: Callable[_P, None]) -> Callable[_P, None]:
    """Makes ``report`` refuse, or translate, metrics that are given as keywords.

    Args:
        report: The function ``report(metrics, *, checkpoint=None)``.

    Returns:
        The function, for both forms.
    """

    @functools.wraps(report)
    def call(*args: Any, **kwargs: Any) -> None:
        if kwargs and not kwargs.keys() <= _OF_REPORT:
            old.use(_REPORT)
            args, kwargs = old.translations[_REPORT](args, kwargs)
        report(*args, **kwargs)

    return call


_REPORT = "tune.report(loss=x)"
_OF_REPORT = {"metrics", "checkpoint"}
