"""Keeps the values that with_parameters binds to a trainable once in each process.

    binding process                              another process
    Parameters --key--> _Holder(values)
        |  plain pickle: the key only      ......>    refused, unless the process knows the key
        |  dumps_with_parameters: key + values ==>    loads_with_parameters: Parameters --> _Holder
        |  dump_with_parameters: the same; the data of arrays goes aside, without a copy

A forked child knows all keys of its parent.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from localtune.error import StorageError, TuneError
from localtune.trainable.preparation import with_preparation

if TYPE_CHECKING:
    from localtune.utils.serialization import Writable


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

    def bound_by_name(self) -> dict[str, Any]:
        """Returns the values; errors of pickling then name a value, and not the way to it."""
        return self.values

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
    from localtune.utils.serialization import dumps_by_value

    with _including_values(obj, name):
        return dumps_by_value(with_preparation(obj))


def dump_with_parameters(
    obj: Any,
    file: Writable,
    buffers: list[pickle.PickleBuffer],
    name: str = "The trainable",
) -> None:
    """Writes what :func:`dumps_with_parameters` returns, and keeps no copy of it.

    Args:
        obj: A trainable, or an object that contains trainables.
        file: The pickle is written there.
        buffers: An empty list, to which the data of arrays and tensors is appended. It refers to
            the memory of the objects.
        name: Name of the object in an error message.

    Raises:
        TypeError: if the object cannot be pickled; the message names the variable that is the
            cause.
        StorageError: if the file raises it.
    """
    from localtune.utils.serialization import dump_by_value

    with _including_values(obj, name):
        dump_by_value(with_preparation(obj), file, buffers)


def check_with_parameters(obj: Any, name: str = "The trainable") -> int:
    """Checks that an object can be pickled together with its parameter values.

    Args:
        obj: A trainable, or an object that contains trainables.
        name: Name of the object in an error message.

    Returns:
        How many bytes that takes, data of arrays included.

    Raises:
        TypeError: if it cannot be pickled; the message names the variable that is the cause.
    """
    file, buffers = _Counter(), list[pickle.PickleBuffer]()
    dump_with_parameters(obj, file, buffers, name)
    return file.count + sum(each.raw().nbytes for each in buffers)


class _Counter:
    """Is a file that keeps nothing but its length."""

    count = 0

    def write(self, data: bytes) -> None:
        self.count += len(data)


@contextlib.contextmanager
def _including_values(obj: Any, name: str) -> Iterator[None]:
    """Makes this thread pickle parameters with their values, and explains errors of that."""
    from localtune.utils.serialization import explain_unpicklable

    before = _mode.includes_values
    _mode.includes_values = True
    try:
        yield
    except StorageError:
        raise
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


def load_with_parameters(file: IO[bytes], buffers: Sequence[memoryview]) -> Any:
    """Loads what :func:`dump_with_parameters` wrote.

    Args:
        file: The pickle.
        buffers: The data of arrays and tensors, which the object refers to.

    Returns:
        The object. This process keeps its parameter values as long as the object exists.
    """
    return pickle.load(file, buffers=buffers)


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
