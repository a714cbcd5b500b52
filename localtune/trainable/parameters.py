"""Keeps the values that with_parameters binds to a trainable once in each process.

    binding process                              another process
    Parameters --key--> _Holder(values)
        |  plain pickle: the key only      ......>    refused, unless the process knows the key
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
from localtune.trainable.preparation import with_preparation


class _Holder:
    """Owns the values of one key; lives as long as a Parameters object refers to it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values


_holders: weakref.WeakValueDictionary[str, _Holder] = weakref.WeakValueDictionary()


class _PicklingMode(threading.local):
    """Holds, for each thread, whether its pickles include the values."""

    includes_values = False


_mode = _PicklingMode()


class Parameters:
    """Refers to values by a key, so that its pickle is small.

    Args:
        values: {parameter name: value}.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._key = os.urandom(16).hex()
        self._holder = _Holder(values)
        _holders[self._key] = self._holder

    @property
    def values(self) -> dict[str, Any]:
        """The values as {parameter name: value}."""
        return self._holder.values

    def __reduce__(self) -> tuple[Callable[..., Parameters], tuple[Any, ...]]:
        if _mode.includes_values:
            return (_adopt, (self._key, self._holder.values))
        return (_find, (self._key,))


def dumps_with_parameters(obj: Any, name: str = "The trainable") -> bytes:
    """Pickles a trainable together with all parameter values that it refers to.

    The pickle contains each set of values once, even if the object refers to it several times.

    Args:
        obj: A trainable, or an object that contains trainables.
        name: Name of the object in an error message.

    Returns:
        A pickle for :func:`loads_with_parameters`, in any process.

    Raises:
        TypeError: if the object cannot be pickled; the message names the variable that is the
            cause.
    """
    from localtune.utils.serialization import dumps_by_value, explain_unpicklable

    before = _mode.includes_values
    _mode.includes_values = True
    try:
        return dumps_by_value(with_preparation(obj))
    except Exception as error:
        raise TypeError(explain_unpicklable(obj, name)) from error
    finally:
        _mode.includes_values = before


def loads_with_parameters(data: bytes) -> Any:
    """Loads a pickle of :func:`dumps_with_parameters`.

    Args:
        data: The pickle.

    Returns:
        The object. This process keeps its parameter values as long as the object exists.
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
            "process: only the process that bound them keeps them. Pass the trainable with its "
            "parameters again, e.g. Tuner.restore(path, tune.with_parameters(train, data=data))."
        )
    return _restore(key, holder)


def _adopt(key: str, values: dict[str, Any]) -> Parameters:
    holder = _holders.get(key)
    if holder is None:
        holder = _holders[key] = _Holder(values)
    return _restore(key, holder)
