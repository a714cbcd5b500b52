"""Old arguments of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any, ParamSpec, TypeVar

from localtune.old_names import use as old

_P = ParamSpec("_P")
_R = TypeVar("_R")

REPORT, REPORT_NUMBER = "tune.report(loss=x)", "tune.report(x)"
OLD_RESUME_FORM = 'tune.run(resume="LOCAL")'
OLD_RESUME = ("LOCAL", "REMOTE", "PROMPT", "ERRORED_ONLY")
CHECKPOINTS_OF_FUNCTION = "checkpoint_at_end= of a function"
EXTRA_RESOURCES = 'resources_per_trial={"extra_cpu": n}'
EXTRA_KEYS = frozenset({"extra_cpu", "extra_gpu", "extra_memory", "extra_custom_resources"})
OF_REPORT = frozenset({"metrics", "checkpoint"})


def old_arguments(owner: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Makes a decorator that refuses, or translates, the old arguments of a function.

    The translation of an argument is a function of ``(value, args, kwargs)`` that changes
    ``kwargs``. It returns None, or a function that makes the result of the old form of the result.

    Args:
        owner: The function's name in the table, such as ``tune.run``.

    Returns:
        A decorator, for functions and for the ``__init__`` of classes.
    """
    # Workers load this module for `report` alone.
    from localtune.old_names.table import ROWS

    rows = {row.member: row.name for row in ROWS if row.kind == "argument" and row.owner == owner}

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        code = function.__code__
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        names = {old: name for old, name in rows.items() if old not in own}

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            found = [each for each in kwargs if each in names]
            if found and not old.is_accepted():
                old.refuse([names[each] for each in found])
            values = [kwargs.pop(each) for each in found]
            changes = [
                old.translated(names[each], value, args, kwargs)
                for each, value in zip(found, values, strict=True)
            ]
            result: Any = function(*args, **kwargs)
            for change in changes:
                result = result if change is None else change(result)
            return result  # type: ignore[no-any-return]

        return call

    return decorate


def old_arguments_of_class(owner: str) -> Callable[[type[_R]], type[_R]]:
    """Makes a decorator like :func:`old_arguments` for the constructor of a class.

    Args:
        owner: The class's name in the table, such as ``RunConfig``.

    Returns:
        A decorator that changes the class's ``__init__``.
    """

    def decorate(cls: type[_R]) -> type[_R]:
        constructor: Any = getattr(cls, "__init__")  # noqa: B009
        setattr(cls, "__init__", old_arguments(owner)(constructor))  # noqa: B010
        return cls

    return decorate


def old_report(report: Callable[_P, None]) -> Callable[_P, None]:
    """Makes ``report`` refuse, or translate, metrics that are keywords or a number.

    Args:
        report: The function ``report(metrics, *, checkpoint=None)``.

    Returns:
        The function, for both forms.
    """

    @functools.wraps(report)
    def call(*args: Any, **kwargs: Any) -> None:
        if is_report_of_keywords(set(kwargs)):
            old.use(REPORT)
        elif args and isinstance(args[0], Number):
            old.use(REPORT_NUMBER)
        if old.is_accepted():
            # Reports of all forms take the checkpoint of `tune.checkpoint_dir()`.
            old.translation_of(REPORT)(report, args, kwargs)
        else:
            report(*args, **kwargs)

    return call


def is_report_of_keywords(names: set[str]) -> bool:
    """Tells whether a call of ``report`` with these keyword arguments has the old form.

    Args:
        names: The keywords.
    """
    return bool(names) and not names <= OF_REPORT
