"""Values that with_parameters binds to a trainable, kept once in each process.

    process that binds                                another process
    Parameters --key--> _Holder(values)
        |  plain pickle: the key only      ......>    refused, unless the key is known there
        |  dumps_with_parameters: key + values ==>    loads_with_parameters: Parameters --> _Holder

A forked child knows all keys of its parent.
"""

from __future__ import annotations

import os
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

from localtune.error import TuneError


class _Holder:
    """Owner of the values of one key; lives as long as a Parameters refers to it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values


_holders: weakref.WeakValueDictionary[str, _Holder] = weakref.WeakValueDictionary()


class _PicklingMode(threading.local):
    """Whether pickles made in this thread take the values along."""

    takes_values = False


_mode = _PicklingMode()


class Parameters:
    """Reference to values by a key; small to pickle.

    Args:
        values: Value by parameter name.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._key = os.urandom(16).hex()
        self._holder = _Holder(values)
        _holders[self._key] = self._holder

    @property
    def values(self) -> dict[str, Any]:
        """Value by parameter name."""
        return self._holder.values

    def __reduce__(self) -> tuple[Callable[..., Parameters], tuple[Any, ...]]:
        if _mode.takes_values:
            return (_adopt, (self._key, self._holder.values))
        return (_find, (self._key,))


def dumps_with_parameters(obj: Any, name: str = "The trainable") -> bytes:
    """Pickle a trainable together with all parameter values that it refers to.

    Each set of values is in the pickle once, however often it is referred to.

    Args:
        obj: A trainable, or anything that holds some.
        name: What it is called in an error.

    Returns:
        A pickle for :func:`loads_with_parameters`, in any process.

    Raises:
        TypeError: It cannot be pickled; the text names the variable that is to blame.
    """
    from localtune.utils.serialization import dumps

    before = _mode.takes_values
    _mode.takes_values = True
    try:
        return dumps(obj, name)
    finally:
        _mode.takes_values = before


def loads_with_parameters(data: bytes) -> Any:
    """Read what :func:`dumps_with_parameters` wrote.

    Args:
        data: The pickle.

    Returns:
        The object; its parameter values stay in this process as long as it does.
    """
    return pickle.loads(data)


def _restore(key: str, holder: _Holder) -> Parameters:
    parameters = Parameters.__new__(Parameters)
    parameters._key = key
    parameters._holder = holder
    return parameters


def _find(key: str) -> Parameters:
    holder = _holders.get(key)
    if holder is None:
        raise TuneError(
            "The values that tune.with_parameters bound to this trainable are not in this "
            "process: they are kept only where they were bound. Pass the trainable with its "
            "parameters again, e.g. Tuner.restore(path, tune.with_parameters(train, data=data))."
        )
    return _restore(key, holder)


def _adopt(key: str, values: dict[str, Any]) -> Parameters:
    holder = _holders.get(key)
    if holder is None:
        holder = _holders[key] = _Holder(values)
    return _restore(key, holder)
