"""Names of Ray that refuse when they are used.

A pickle refers to such a name as ``localtune.compat.refused.NAME``, and can be loaded anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from localtune.compat.refusals import DISTRIBUTED, NAMES
from localtune.error import TuneError


def refused(path: str, reason: str) -> Any:
    """Returns a class or a function that refuses when it is used.

    Args:
        path: Dotted name of what it stands for. Two paths with an equal last part share it.
        reason: Why localtune does not have it, and what to do.
    """
    name = path.rpartition(".")[2]
    if name not in _made:
        make = _make_class if name[:1].isupper() else _make_function
        # Pickling compares what it finds under the name with the object itself.
        _made.setdefault(name, make(name, refusal(path, reason)))
    return _made[name]


def refusal(path: str, reason: str) -> str:
    """Returns the message with which a part of Ray is refused.

    Args:
        path: Its dotted name.
        reason: Why localtune does not have it, and what to do.
    """
    return f"localtune has no {path}: {reason}."


_made: dict[str, Any] = {}


class _Refused(type):
    """Class of the classes that refuse."""

    message: str

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> _Refused:
        for base in bases:
            if isinstance(base, _Refused):
                raise TuneError(base.message)
        return super().__new__(mcs, name, bases, members)

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise TuneError(cls.message)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("_"):  # Python itself and libraries look for such names in any class.
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise AttributeError(cls.message)

    def __getitem__(cls, _parameters: Any) -> _Refused:
        return cls


def _make_class(name: str, message: str) -> _Refused:
    return _Refused(name, (), {"__module__": __name__, "message": message})


def _make_function(name: str, message: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise TuneError(message)

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def __getattr__(name: str) -> Any:
    """Finds a name again that a pickle refers to."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    path = next((each for each in NAMES if each.endswith(f".{name}")), f"ray.{name}")
    return refused(path, NAMES.get(path, DISTRIBUTED))
