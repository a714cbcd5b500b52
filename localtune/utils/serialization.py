"""Pickles user code, and names the variables that cannot be pickled."""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import sys
import types
from collections import ChainMap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from typing import Protocol

    from localtune.utils.json_encode import TuneFunctionDecoder as TuneFunctionDecoder
    from localtune.utils.json_encode import TuneFunctionEncoder as TuneFunctionEncoder

    class Writable(Protocol):
        """Takes the bytes of a file, piece by piece."""

        def write(self, data: bytes, /) -> object: ...


# Ray Tune has them here. Workers load this module, and do without JSON.
_OF_JSON = {
    "TuneFunctionDecoder": "utils.json_encode",
    "TuneFunctionEncoder": "utils.json_encode",
}

__getattr__ = lazy_names(__name__, _OF_JSON)

# The name that cloudpickle puts in place of a file name.
_NO_FILE = "<dynamic-code>"

# Names of the script's module: in its own process, and in one that multiprocessing has spawned.
MAIN_NAMES = ("__main__", "__mp_main__")
_MAIN_NAME, _SPAWNED_MAIN_NAME = (name.encode() for name in MAIN_NAMES)

# Begins each pickle that refers to modules of users or libraries; see `calling`. Empty, unless
# processes must be prepared before they can import such a module.
preparation = b""

# Smaller data of arrays stays in the pickle.
_LEAST_BUFFER_BYTES = 1024
# What is longer is hardly a class that can be imported. It is not pickled plainly first.
_MOST_PLAIN_BYTES = 64 * 1024

# What `tune.with_parameters` has bound, in an error message.
_PARAMETER = "parameter"

# Attributes that pickling ignores.
_NO_STATE = ("__dict__", "__weakref__")


@dataclass(frozen=True, slots=True)
class _Culprit:
    """Holds an object that cannot be pickled although all of its parts can.

    Attributes:
        path: Steps from the whole object to this one: ``("global variable 'engine'", ...)``.
        names: Names of the variables on this path.
        value: The object.
        error: Error that pickling it raised.
    """

    path: tuple[str, ...]
    names: tuple[str, ...]
    value: Any
    error: Exception


def lacks_own_module(error: Exception) -> bool:
    """Whether a pickle could not be loaded since it names code that this localtune does not have.

    Args:
        error: What loading the pickle raised.
    """
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] == "localtune"
    return isinstance(error, AttributeError) and "on <module 'localtune" in str(error)


def other_version(reason: object) -> str:
    """Returns the message for a file of another version of localtune.

    Args:
        reason: The first part of the file that cannot be read.
    """
    return (
        f"another version of localtune wrote it ({reason}). Read it with that version, or run the "
        "experiment again."
    )


def dumps_by_value(obj: Any, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
    """Pickles an object so that any process can load it: code of ``__main__`` is pickled by value.

    Args:
        obj: Any object.
        buffers: An empty list, to which the data of arrays is appended; None keeps it in the
            pickle.

    Returns:
        The pickle; ``pickle.loads`` reads it, with the ``buffers``.

    Raises:
        Exception: any error of the parts that cannot be pickled.
    """
    take = None if buffers is None else buffers.append
    # Most configurations and results are numbers and text. Plain pickling takes a fifth of the time
    # for them.
    data = _plainly(lambda: pickle.dumps(obj, pickle.HIGHEST_PROTOCOL, buffer_callback=take))
    if data is not None:
        return data
    if buffers is not None:
        buffers.clear()
    file = io.BytesIO()
    with _main_by_value():
        _pickler_class()(file, buffer_callback=take).dump(obj)
    return preparation + file.getvalue()


def dump_by_value(obj: Any, file: Writable, buffers: list[pickle.PickleBuffer]) -> None:
    """Pickles an object as :func:`dumps_by_value` does, and keeps nothing of it in memory.

    Args:
        obj: Any object.
        file: The pickle is written there, piece by piece.
        buffers: An empty list, to which the data of arrays and of tensors in the memory of the CPU
            is appended. It refers to the memory of the objects.

    Raises:
        Exception: any error of the parts that cannot be pickled, or of the file.
    """

    def take(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < _LEAST_BUFFER_BYTES:
            return True
        buffers.append(buffer)
        return False

    data = _plainly(partial(_dumps_short, obj))
    if data is not None:
        file.write(data)
        return
    kind = _pickler_class()
    torch = sys.modules.get("torch")
    if torch is not None:
        from localtune.utils.tensors import with_tensors

        kind = with_tensors(kind, torch)
    file.write(preparation)
    with _main_by_value():
        kind(file, buffer_callback=take).dump(obj)


def _plainly(dumps_plain: Callable[[], bytes]) -> bytes | None:
    """Returns a plain pickle; None if the object needs one by value."""
    by_value = sys.modules.get("cloudpickle")
    if by_value is None or not by_value.list_registry_pickle_by_value():
        try:
            data = dumps_plain()
        except Exception:
            return None
        # It contains the name of each module that loading imports.
        if _MAIN_NAME not in data and _SPAWNED_MAIN_NAME not in data:
            return _prepared(data) if preparation else data
    return None


def _dumps_short(obj: Any) -> bytes:
    file = _ShortFile()
    pickle.Pickler(file, pickle.HIGHEST_PROTOCOL).dump(obj)
    return file.getvalue()


class _ShortFile(io.BytesIO):
    """Refuses to become long."""

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > _MOST_PLAIN_BYTES:
            raise OverflowError
        return super().write(data)


def calling(function: Callable[[], object]) -> bytes:
    """Returns the beginning of a pickle that makes the loading process call a function first.

    The function is called before anything of the pickle behind it is imported.

    Args:
        function: A function of a module of localtune.

    Example:
        >>> pickle.loads(calling(dict) + pickle.dumps([1]))
        [1]
    """
    name = f"{function.__module__}\n{function.__qualname__}\n".encode()
    return pickle.GLOBAL + name + pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.POP


def same_pickle(first: bytes, second: bytes) -> bool:
    """Returns whether two pickles are equal behind what :func:`calling` has put in front of them.

    Args:
        first: A pickle.
        second: Another one.
    """
    return first[first.find(pickle.PROTO) :] == second[second.find(pickle.PROTO) :]


def _prepared(data: bytes) -> bytes:
    if pickle.STACK_GLOBAL in data and _refers_to_foreign_modules(data):
        return preparation + data
    return data


def _refers_to_foreign_modules(data: bytes) -> bool:
    import pickletools

    names = {each for _, each, _ in pickletools.genops(data) if isinstance(each, str)}
    return any(
        name in sys.modules and name.partition(".")[0] not in _KNOWN_PACKAGES for name in names
    )


_KNOWN_PACKAGES = frozenset({"localtune", *sys.stdlib_module_names})


@contextlib.contextmanager
def _main_by_value() -> Iterator[None]:
    """Makes cloudpickle pickle the script's code by value even if its module has another name.

    No other process can import the name that it has in a process spawned by ``multiprocessing``.
    """
    import cloudpickle

    main = sys.modules["__main__"]
    if main.__name__ == "__main__" or main.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(main)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(main)


@functools.cache
def _pickler_class() -> Any:
    """Returns cloudpickle's pickler, changed so that code keeps the name of its file.

    Some versions, such as 3.1.3, replace the name by a constant. Tracebacks of ``__main__`` would
    then show neither the file nor the lines of the user's code.
    """
    import cloudpickle

    reduce_code = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def reduce_with_file(code: types.CodeType) -> tuple[Any, ...]:
        make, arguments, *rest = reduce_code(code)
        named = [
            code.co_filename if isinstance(each, str) and each == _NO_FILE else each
            for each in arguments
        ]
        return (make, tuple(named), *rest)

    table = ChainMap({types.CodeType: reduce_with_file}, cloudpickle.Pickler.dispatch_table)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table = table

    return Pickler


def dumps(obj: Any, name: str) -> bytes:
    """Pickles an object, with code of ``__main__`` by value.

    Args:
        obj: Any object.
        name: Name of the object in an error message.

    Returns:
        The pickle; ``pickle.loads`` reads it.

    Raises:
        TypeError: if the object cannot be pickled; the message names the variable that is the
            cause.
    """
    try:
        return dumps_by_value(obj)
    except Exception as error:
        raise TypeError(explain_unpicklable(obj, name)) from error


def explain_unpicklable(obj: Any, name: str) -> str:
    """Explains which variable prevents an object from being pickled.

    Args:
        obj: Any object.
        name: Name of the object in the text.

    Returns:
        The explanation; empty if the object can be pickled.
    """
    culprit = next(_culprits(obj), None)
    if culprit is None:
        return ""
    path = culprit.path
    # The way to a parameter leads through objects that are not the user's.
    for index, step in enumerate(culprit.path):
        if step.startswith(f"{_PARAMETER} "):
            path = culprit.path[index:]
    cause = f" because of its {', '.join(path)}" if path else ""
    kind = type(culprit.value)
    return (
        f"{name} cannot be sent to another process{cause}, a {kind.__module__}."
        f"{kind.__qualname__}: {culprit.error}. Create it inside the function (in `setup` for a "
        "class) instead of referring to it from outside."
    )


def diagnose_serialization(trainable: Any) -> bool | set[str]:
    """Finds the variables that prevent a function or a class from being sent to a worker.

    Args:
        trainable: A function, a class, or any other object.

    Returns:
        True if it can be pickled. Otherwise the names of the variables, attributes or items of
        ``trainable`` that cannot be pickled.

    Example:
        >>> import threading
        >>> lock = threading.Lock()
        >>> def train(config):
        ...     return lock
        >>> diagnose_serialization(train)
        {'lock'}
    """
    names = {
        culprit.names[0] if culprit.names else _name_of(trainable)
        for culprit in _culprits(trainable)
    }
    return names or True


def _culprits(obj: Any) -> Iterator[_Culprit]:
    return _search(obj, (), (), {})


def _search(
    obj: Any, path: tuple[str, ...], names: tuple[str, ...], seen: dict[int, Any]
) -> Iterator[_Culprit]:
    if id(obj) in seen:
        return
    seen[id(obj)] = obj  # The reference keeps the id from being reused.
    error = _pickling_error(obj)
    if error is None:
        return
    found = False
    for kind, name, part in _parts(obj):
        for culprit in _search(part, (*path, f"{kind} {name!r}"), (*names, name), seen):
            found = True
            yield culprit
    if not found:
        yield _Culprit(path, names, obj, error)


def _pickling_error(obj: Any) -> Exception | None:
    import cloudpickle

    try:
        cloudpickle.dumps(obj)
    except Exception as error:
        return error
    return None


def _parts(obj: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields the parts of an object as (kind, name, value)."""
    if isinstance(obj, types.FunctionType):
        yield from _parts_of_function(obj)
    elif isinstance(obj, types.MethodType):
        yield "object", "self", obj.__self__
        yield "function", obj.__func__.__name__, obj.__func__
    elif isinstance(obj, partial):
        yield "function", _name_of(obj.func), obj.func
        for index, value in enumerate(obj.args):
            yield "argument", str(index), value
        for name, value in obj.keywords.items():
            yield "argument", name, value
    elif isinstance(obj, (staticmethod, classmethod)):
        yield "function", _name_of(obj.__func__), obj.__func__
    elif isinstance(obj, property):
        for function in filter(None, (obj.fget, obj.fset, obj.fdel)):
            yield "function", _name_of(function), function
    elif isinstance(obj, type):
        for base in obj.__bases__:
            yield "base class", base.__name__, base
        yield from _attributes(obj)
    elif hasattr(type(obj), "bound_by_name"):
        for name, value in obj.bound_by_name().items():
            yield _PARAMETER, name, value
    elif isinstance(obj, dict):
        for key, value in obj.items():
            yield "item", str(key), value
    elif isinstance(obj, (list, tuple, set, frozenset)):
        for index, value in enumerate(obj):
            yield "item", str(index), value
    else:
        yield from _attributes(obj)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, str, Any]]:
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        try:
            yield "closure variable", name, cell.cell_contents
        except ValueError:  # Not assigned yet.
            continue
    for name in sorted(_global_names(function.__code__) & function.__globals__.keys()):
        yield "global variable", name, function.__globals__[name]
    for index, value in enumerate(function.__defaults__ or ()):
        yield "default value", str(index), value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield "default value", name, value
    yield from _attributes(function)


def _attributes(obj: Any) -> Iterator[tuple[str, str, Any]]:
    for name, value in getattr(obj, "__dict__", {}).items():
        if name not in _NO_STATE:
            yield "attribute", name, value
    for kind in type(obj).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in _NO_STATE and hasattr(obj, name):
                yield "attribute", name, getattr(obj, name)


def _global_names(code: types.CodeType) -> set[str]:
    import dis

    names = {step.argval for step in dis.get_instructions(code) if "_GLOBAL" in step.opname}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _name_of(obj: Any) -> str:
    return str(getattr(obj, "__name__", type(obj).__name__))
