"""Trainables of an old shape: functions with more arguments, classes with other methods."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

from localtune.old_names.rows.trainables import WITH_DIRECTORY, WITH_REPORTER
from localtune.old_names.saved_path import RETURNED_PATH_FILE, SAVED_PATH
from localtune.old_names.table import ROWS
from localtune.trainable import session
from localtune.trainable.trainable import Trainable


class Reporter:
    """The second argument of a function ``(config, reporter)``."""

    def __call__(self, _metric: Any = None, **metrics: Any) -> None:
        """Reports metrics.

        Args:
            _metric: A number without a name, or None.
            **metrics: The metrics.
        """
        args = () if _metric is None else (_metric,)
        session.report(*args, **metrics)

    @property
    def logdir(self) -> str | None:
        """Directory of the trial."""
        return session.get_context().get_trial_dir()

    @property
    def trial_id(self) -> str | None:
        """Id of the trial."""
        return session.get_context().get_trial_id()

    @property
    def trial_name(self) -> str | None:
        """Name of the trial."""
        return session.get_context().get_trial_name()


class WithArgument:
    """Stands for a function, with its name, and gives it one more argument.

    Args:
        function: The function.
        argument: Name of the argument.
        value: Makes its value, at each call.
    """

    def __init__(
        self, function: Callable[..., Any], argument: str, value: Callable[[], Any]
    ) -> None:
        functools.update_wrapper(self, function)
        if not hasattr(function, "__name__"):
            self.__name__ = getattr(_inner(function), "__name__", type(function).__name__)
        self.__signature__ = _without(inspect.signature(function), argument)
        self._function = function
        self._argument = argument
        self._value = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **{**kwargs, self._argument: self._value()})


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _without(signature: inspect.Signature, argument: str) -> inspect.Signature:
    parameters = []
    is_past = False
    for name, each in signature.parameters.items():
        if name == argument:
            is_past = True
        elif is_past and each.kind is each.POSITIONAL_OR_KEYWORD:
            # The place of what follows has changed: it is given by name.
            parameters.append(each.replace(kind=each.KEYWORD_ONLY))
        else:
            parameters.append(each)
    return signature.replace(parameters=parameters)


def checkpoint_directory() -> str | None:
    """Returns the directory of the checkpoint that the trial continues from, None without one."""
    checkpoint = session.get_checkpoint()
    return None if checkpoint is None else checkpoint.path


def _with_reporter(function: Callable[..., Any], argument: str) -> WithArgument:
    return WithArgument(function, argument, Reporter)


def _with_directory(function: Callable[..., Any], argument: str) -> WithArgument:
    return WithArgument(function, argument, checkpoint_directory)


def _adopt_method(cls: type, old: str, today: str) -> None:
    method = vars(cls)[old]
    setattr(cls, today, method)


def _returned_path(directory: str, below: str) -> None:
    """Keeps the path that ``save_checkpoint`` returned, for ``load_checkpoint``."""
    with open(os.path.join(directory, RETURNED_PATH_FILE), "w", encoding="utf-8") as file:
        file.write(below)


def durable(trainable: Any) -> Any:
    """Returns a trainable as it is.

    Args:
        trainable: The trainable.
    """
    return trainable


TRANSLATIONS: dict[str, Callable[..., Any]] = {
    WITH_REPORTER: _with_reporter,
    WITH_DIRECTORY: _with_directory,
    SAVED_PATH: _returned_path,
    **{row.name: _adopt_method for row in ROWS if row.owner == "Trainable"},
    "tune.DurableTrainable": Trainable,
    "tune.durable": durable,
}
