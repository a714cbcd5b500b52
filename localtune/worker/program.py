"""The program of a worker: the trainable class that the parent pickled.

::

    parent                worker                          process that user code spawns
      | program   ------>   | load_program                  | runs children_main.py as its __main__
      | program.data - - -> |   maps the data of arrays     |   a name of __main__ is asked for
      | children_main.py    | publishes code of __main__    |   -> loads the program, publishes
      |                     | __main__.__file__ ----------> |

All processes share the pages of the data, until one of them writes: the kernel gives it a page of
its own then.

``multiprocessing`` tells a spawned process the file of its starter's ``__main__``, and the process
runs that file. The user's own script would start the sweep once more there, so the worker names a
file that looks up names of ``__main__`` in the program.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localtune.error import StorageError
from localtune.utils.serialization import MAIN_NAMES

if TYPE_CHECKING:
    import pickle

    from localtune.trainable.trainable import Trainable
    from localtune.utils.serialization import Writable


class WorkerProgram:
    """The trainable class of a run, which an executor brings to its workers.

    It is pickled when the executor asks for that. So the parent holds no second copy of data that
    the trainable refers to.

    Args:
        trainable: The class.
    """

    def __init__(self, trainable: type[Trainable]) -> None:
        self.trainable = trainable

    def check(self) -> None:
        """Raises a TypeError, which names the cause, if the program cannot be pickled."""
        from localtune.trainable.parameters import check_with_parameters

        check_with_parameters(self.trainable)

    def to_bytes(self) -> bytes:
        """Returns the program in one piece, for :func:`load_program_bytes`.

        Raises:
            TypeError: if it cannot be pickled; the message names the variable that is the cause.
        """
        from localtune.trainable.parameters import dumps_with_parameters

        return dumps_with_parameters(self.trainable)

    def write(self, file: Writable) -> list[memoryview]:
        """Writes the program without the data of arrays and tensors.

        Args:
            file: The file, which :func:`load_program` reads.

        Returns:
            The data, for the file at :func:`data_path`. It is in the memory of the trainable, not
            copied.

        Raises:
            TypeError: if it cannot be pickled; the message names the variable that is the cause.
            StorageError: if the file raises it.
        """
        from localtune.trainable.parameters import dump_with_parameters

        buffers: list[pickle.PickleBuffer] = []
        dump_with_parameters(self.trainable, file, buffers)
        return [each.raw() for each in buffers]


def load_program(path: str) -> type[Trainable]:
    """Loads the trainable class that the parent wrote to ``path``.

    Objects of the user's ``__main__`` are put into this process's ``__main__``, too. Then user code
    can pickle its own classes, and pass its own functions to a process pool.
    """
    from localtune.trainable.parameters import load_with_parameters

    with open(path, "rb") as file:
        trainable: type[Trainable] = load_with_parameters(file, _data_of(path))
    load_lazy_parts()
    if publish_main(trainable):
        sys.modules["__main__"].__file__ = children_main_path(path)
    return trainable


def _data_of(path: str) -> list[memoryview]:
    """Returns the data that a program refers to."""
    data = data_path(path)
    # It may be a link, whose target somebody can have removed.
    if not os.path.lexists(data):
        return []
    from localtune.utils.part_file import read_parts

    try:
        return read_parts(data, private=True)
    except FileNotFoundError:
        raise StorageError(
            f"The data that trials share is not in {os.path.realpath(data)} any more: somebody has "
            "removed it. systemd does so when the user logs out, unless logind.conf says "
            "RemoveIPC=no. Continue the run with Tuner.restore."
        ) from None


def dumps_preparation() -> bytes:
    """Returns what :func:`prepare` needs to do what loading a program of this process does first.

    Modules of the program can be imported only behind it, also in a process that does not load it.
    """
    import pickle

    from localtune.trainable import preparation

    call = preparation.prepare
    return pickle.dumps(preparation.Call(call)) if call is not None else b""


def prepare(data: bytes) -> None:
    """Prepares this process for the modules of a program.

    Args:
        data: What :func:`dumps_preparation` returned in the process of the program.
    """
    import pickle

    if data:
        pickle.loads(data)


def load_lazy_parts() -> None:
    """Looks up, once for all workers, what a trial would look up at its first use."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random  # noqa: B018  # each trial seeds it
    session = sys.modules.get("localtune.trainable.session")
    if session is not None:
        for name in session.__all__:
            getattr(sys.modules["localtune"], name)


def data_path(program_path: str) -> str:
    """Returns the path of the data that the program refers to; without data there is no file."""
    return f"{program_path}.data"


def children_main_path(program_path: str) -> str:
    """Returns the path of the ``__main__`` of processes that user code spawns."""
    return os.path.join(os.path.dirname(program_path), "children_main.py")


def children_main(program_path: str) -> str:
    """Returns the source of the ``__main__`` of processes that user code spawns.

    The program may be large, so it is loaded at the first use of a name of ``__main__``.
    """
    return (
        "def __getattr__(name):\n"
        "    from localtune.worker.program import find_in_main\n"
        f"    return find_in_main(name, {program_path!r})\n"
    )


def find_in_main(name: str, program_path: str) -> Any:
    """Returns the value of a name that is missing from ``__main__``; loads the program first.

    Args:
        name: The name.
        program_path: File with the pickled trainable.

    Raises:
        AttributeError: if the trainable does not refer to such a name.
    """
    main = sys.modules["__main__"]
    if name.startswith("__"):
        raise AttributeError(name)
    # From here on the module has no __getattr__, also for names that it does not have.
    vars(main).pop("__getattr__", None)
    load_program(program_path)
    return getattr(main, name)


def warm_up() -> None:
    """Imports the modules that every worker needs, before workers are forked."""
    import faulthandler  # noqa: F401
    import traceback  # noqa: F401

    import localtune.resources
    import localtune.trainable.function_trainable
    import localtune.trainable.session  # noqa: F401


def load_program_bytes(data: bytes) -> type[Trainable]:
    """Loads the trainable class from what :meth:`WorkerProgram.to_bytes` returned."""
    from localtune.trainable.parameters import loads_with_parameters

    trainable: type[Trainable] = loads_with_parameters(data)
    return trainable


def publish_main(trainable: type) -> bool:
    """Makes by-value code of ``__main__`` findable in this process's ``__main__``.

    Returns:
        Whether the trainable has such code.
    """
    # In a sweep that was started in a spawned process, the script has the second name.
    module = sys.modules["__main__"]
    sys.modules.update(dict.fromkeys(MAIN_NAMES, module))
    main = module.__dict__
    found = False
    for code in _code_of(trainable):
        if getattr(code, "__module__", None) not in MAIN_NAMES:
            continue
        found = True
        if "." not in code.__qualname__:
            main.setdefault(code.__name__, code)
        for name, value in getattr(code, "__globals__", {}).items():
            if not name.startswith("__"):
                main.setdefault(name, value)
    return found


def _code_of(root: object) -> Iterator[Any]:
    """Yields the functions and classes that an object consists of, itself included."""
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
        # Other classes are imported from their modules.
        if _is_by_value(value):
            yield from value.__mro__
            yield from vars(value).values()
    elif isinstance(value, types.FunctionType):
        if value.__module__ in MAIN_NAMES:
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
    elif callable(value) or type(value).__module__ in MAIN_NAMES:
        yield type(value)
        yield from getattr(value, "__dict__", {}).values()


def _is_by_value(cls: type) -> bool:
    """Returns whether a class was pickled by value: no module has it under its name."""
    if cls.__module__ in MAIN_NAMES:
        return True
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is not cls
