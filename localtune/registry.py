"""Trainables by name.

register_trainable("my_training", train) -> get_trainable_cls("my_training")
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from localtune.error import TuneError
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import is_function_trainable as _is_function_trainable
from localtune.trainable.util import wrap_function
from localtune.utils.messages import warn
from localtune.utils.serialization import dumps

_NAMELESS = "DEFAULT"

_trainables: dict[str, type[Trainable]] = {}
_env_creators: dict[str, Callable[..., Any]] = {}


def register_trainable(name: str, trainable: Any, warn: bool = True) -> None:
    """Make a trainable known by a name; an older one of that name is replaced.

    Args:
        name: The name.
        trainable: Class that derives from Trainable, or function.
        warn: Accepted for compatibility, without effect.

    Raises:
        TypeError: The trainable is something else, or cannot be sent to another process.
        ValueError: The function cannot be called with a config alone.

    Example:
        >>> register_trainable("constant", lambda config: {"loss": 1})
        >>> get_trainable_cls("constant").__name__
        'ImplicitFunc'
    """
    if isinstance(trainable, type):
        if not issubclass(trainable, Trainable):
            raise TypeError(
                f"A class must derive from Trainable to be registered, but got {trainable!r}."
            )
        trainable_cls = trainable
    elif callable(trainable) and not isinstance(trainable, Trainable):
        trainable_cls = wrap_function(trainable)
    else:
        raise TypeError(
            "A trainable must be a function or a class that derives from Trainable, but got "
            f"{type(trainable).__name__}: {trainable!r}."
        )
    dumps(trainable, f"The trainable {name!r}")
    _trainables[name] = trainable_cls


def register_env(name: str, env_creator: Callable[..., Any]) -> None:
    """Make a creator of environments known by a name.

    Args:
        name: The name.
        env_creator: Callable.

    Raises:
        TypeError: The creator cannot be called.
    """
    if not callable(env_creator):
        raise TypeError(f"env_creator must be callable, but got {env_creator!r}.")
    _env_creators[name] = env_creator


def get_trainable_cls(trainable_name: str) -> type[Trainable]:
    """Look a trainable up.

    Args:
        trainable_name: Name that it was registered under.

    Returns:
        The class; for a function, the one that runs it.

    Raises:
        TuneError: The name is unknown.
    """
    validate_trainable(trainable_name)
    return _trainables[trainable_name]


def validate_trainable(trainable_name: str) -> None:
    """Check that a trainable is known.

    Args:
        trainable_name: Name that it was registered under.

    Raises:
        TuneError: The name is unknown.
    """
    if trainable_name not in _trainables:
        known = ", ".join(sorted(_trainables)) or "none"
        raise TuneError(
            f"Unknown trainable {trainable_name!r}; registered are: {known}. Pass the function or "
            "class itself, or call tune.register_trainable(name, trainable) first."
        )


def is_function_trainable(trainable: Any) -> bool:
    """Whether a trainable is a function.

    Args:
        trainable: Registered name, class or callable.

    Returns:
        Whether it is a function, wrapped or not.

    Raises:
        TuneError: The name is unknown.
    """
    if isinstance(trainable, str):
        trainable = get_trainable_cls(trainable)
    return _is_function_trainable(trainable)


def trainable_name(trainable: Any) -> str:
    """Name that trials and experiments of a trainable get.

    Args:
        trainable: Registered name, class or callable.

    Returns:
        The name; ``"DEFAULT"``, with a warning, for a callable that has none.

    Raises:
        TuneError: The trainable cannot be called.

    Example:
        >>> trainable_name(lambda config: None)
        'lambda'
    """
    if isinstance(trainable, str):
        return trainable
    if not callable(trainable):
        raise TuneError(
            "A trainable must be a registered name, a function or a class that derives from "
            f"Trainable, but got {type(trainable).__name__}: {trainable!r}."
        )
    while isinstance(trainable, functools.partial):
        trainable = trainable.func
    name = getattr(trainable, "_name", None) or getattr(trainable, "__name__", None)
    if not isinstance(name, str):
        warn(
            f"The trainable {trainable!r} has no name: its trials are named {_NAMELESS!r}. "
            "Give it a __name__, or register it with tune.register_trainable(name, trainable).",
            UserWarning,
            stacklevel=2,
        )
        return _NAMELESS
    if name == "<lambda>":
        return "lambda"
    return _NAMELESS if name.startswith("<") else name
