"""The program of a worker: the trainable class that the parent pickled."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.trainable.trainable import Trainable


def load_program(path: str) -> type[Trainable]:
    """The trainable class that the parent wrote to ``path``.

    What came from the user's ``__main__`` is put into this process's ``__main__`` too: then user
    code can pickle its own classes, and hand its own functions to a process pool.
    """
    with open(path, "rb") as file:
        trainable = load_program_bytes(file.read())
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        # Imported when it is first asked for; each trial seeds it.
        numpy.random  # noqa: B018
    publish_main(trainable)
    return trainable


def warm_up() -> None:
    """Imports what every worker will need, so that those forked from here need not."""
    import localtune.resources
    import localtune.trainable.function_trainable
    import localtune.trainable.session  # noqa: F401


def load_program_bytes(data: bytes) -> type[Trainable]:
    """The trainable class that ``data`` holds."""
    from localtune.trainable.parameters import loads_with_parameters

    trainable: type[Trainable] = loads_with_parameters(data)
    return trainable


def publish_main(trainable: type) -> None:
    """Makes by-value code of ``__main__`` findable in this process's ``__main__``."""
    main = sys.modules["__main__"].__dict__
    for code in _code_of(trainable):
        if getattr(code, "__module__", None) != "__main__":
            continue
        if "." not in code.__qualname__:
            main.setdefault(code.__name__, code)
        for name, value in getattr(code, "__globals__", {}).items():
            if not name.startswith("__"):
                main.setdefault(name, value)


def _code_of(root: object) -> Iterator[Any]:
    """The functions and classes that an object consists of, itself included."""
    waiting, seen = [root], {id(root)}
    while waiting:
        each = waiting.pop()
        if isinstance(each, (type, types.FunctionType)):
            yield each
        for part in _parts_of(each):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)


def _parts_of(value: Any) -> Iterator[Any]:
    if isinstance(value, type):
        # Modules hold the rest, and are imported as they are.
        if _is_by_value(value):
            yield from value.__mro__
            yield from vars(value).values()
    elif isinstance(value, types.FunctionType):
        if value.__module__ == "__main__":
            yield from value.__globals__.values()
        yield from vars(value).values()
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # Not assigned yet.
                yield cell.cell_contents
    elif isinstance(value, types.MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, (staticmethod, classmethod)):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif callable(value) or type(value).__module__ == "__main__":
        yield type(value)
        yield from getattr(value, "__dict__", {}).values()


def _is_by_value(cls: type) -> bool:
    """Whether a class travelled by value: no module has it under its name."""
    if cls.__module__ == "__main__":
        return True
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is not cls
