"""Finds trainables by name.

register_trainable("my_training", train) -> get_trainable_cls("my_training")
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from localtune.error import TuneError
from localtune.old_names.bodies import refusal_of
from localtune.old_names.trainables import refuse_old_class
from localtune.old_names.use import OldNameError
from localtune.trainable.function_trainable import wrap_function
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import is_function_trainable as _is_function_trainable
from localtune.utils.messages import warn
from localtune.utils.serialization import dumps

_NAMELESS = "DEFAULT"

_trainables: dict[str, type[Trainable]] = {}
_env_creators: dict[str, Callable[..., Any]] = {}
_input_creators: dict[str, Callable[..., Any]] = {}


def register_trainable(name: str, trainable: Any, warn: bool = True) -> None:
    """Registers a trainable under a name; it replaces an earlier one of that name.

    Args:
        name: The name.
        trainable: A class that derives from Trainable, or a function.
        warn: Accepted for compatibility, without effect.

    Raises:
        TypeError: for a trainable of another type, or one that cannot be sent to another process.
        ValueError: if the function cannot be called with a config alone.
        OldNameError: if its text uses old names of Ray Tune.

    Example:
        >>> register_trainable("constant", lambda config: {"loss": 1})
        >>> get_trainable_cls("constant").__name__
        'ImplicitFunc'
    """
    add_trainable(name, trainable)


def add_trainable(name: str, trainable: Any, *, refuse: bool = True) -> None:
    """Registers a trainable; see :func:`register_trainable`.

    Args:
        name: The name.
        trainable: The trainable.
        refuse: Whether a function whose text uses old names is refused here. If not, each of its
            trials fails at its start.
    """
    if isinstance(trainable, type):
        if not issubclass(trainable, Trainable):
            raise TypeError(
                f"A class must derive from Trainable to be registered, but got {trainable!r}."
            )
        refuse_old_class(trainable, Trainable)
        trainable_cls, refusal = trainable, refusal_of(trainable)
    elif callable(trainable) and not isinstance(trainable, Trainable):
        trainable_cls = wrap_function(trainable)
        refusal = trainable_cls._refusal if refuse else None
    else:
        raise TypeError(
            "A trainable must be a function or a class that derives from Trainable, but got "
            f"{type(trainable).__name__}: {trainable!r}."
        )
    if refusal is not None:
        raise OldNameError(refusal)
    dumps(trainable, f"The trainable {name!r}")
    _trainables[name] = trainable_cls


def register_env(name: str, env_creator: Callable[..., Any]) -> None:
    """Registers a creator of environments under a name.

    Args:
        name: The name.
        env_creator: A callable.

    Raises:
        TypeError: if the creator is not callable.
    """
    if not callable(env_creator):
        raise TypeError(f"env_creator must be callable, but got {env_creator!r}.")
    _env_creators[name] = env_creator


def register_input(name: str, input_creator: Callable[..., Any]) -> None:
    """Registers a creator of input data under a name.

    Args:
        name: The name.
        input_creator: A callable.

    Raises:
        TypeError: if the creator is not callable.
    """
    if not callable(input_creator):
        raise TypeError(f"input_creator must be callable, but got {input_creator!r}.")
    _input_creators[name] = input_creator


def registry_contains_input(name: str) -> bool:
    """Tells whether :func:`register_input` has been called with a name."""
    return name in _input_creators


def registry_get_input(name: str) -> Callable[..., Any]:
    """Returns the creator of input data that is registered under a name.

    Raises:
        TuneError: for an unknown name.
    """
    if name not in _input_creators:
        known = ", ".join(sorted(_input_creators)) or "none"
        raise TuneError(
            f"Unknown input {name!r}; registered are: {known}. Call register_input(name, "
            "input_creator) first."
        )
    return _input_creators[name]


def get_trainable_cls(trainable_name: str) -> type[Trainable]:
    """Returns the class of a registered trainable.

    Args:
        trainable_name: Name of the trainable.

    Returns:
        The class; for a function, the class that runs it.

    Raises:
        TuneError: for an unknown name.
    """
    validate_trainable(trainable_name)
    return _trainables[trainable_name]


def validate_trainable(trainable_name: str) -> None:
    """Checks that a trainable is registered.

    Args:
        trainable_name: Name of the trainable.

    Raises:
        TuneError: for an unknown name.
    """
    if trainable_name not in _trainables:
        known = ", ".join(sorted(_trainables)) or "none"
        raise TuneError(
            f"Unknown trainable {trainable_name!r}; registered are: {known}. Pass the function or "
            "class itself, or call tune.register_trainable(name, trainable) first."
        )


def is_function_trainable(trainable: Any) -> bool:
    """Tells whether a trainable is a function.

    Args:
        trainable: Registered name, class or callable.

    Returns:
        Whether it is a function, wrapped or not.

    Raises:
        TuneError: for an unknown name.
    """
    if isinstance(trainable, str):
        trainable = get_trainable_cls(trainable)
    return _is_function_trainable(trainable)


def trainable_name(trainable: Any) -> str:
    """Returns the name that trials and experiments of a trainable get.

    Args:
        trainable: Registered name, class or callable.

    Returns:
        The name; ``"DEFAULT"``, with a warning, for a callable without a name.

    Raises:
        TuneError: if the trainable is not callable.

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
