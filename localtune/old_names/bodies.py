"""Old names in the code of a trainable, found before the run starts.

The text of the trainable is read, and that of the functions and classes beside it which it names.
What their names mean is looked up in the live modules.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import os
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from localtune.old_names.row import REMEDY
from localtune.old_names.rows.trainables import SAVED_PATH
from localtune.old_names.scan import find_old_uses
from localtune.old_names.shapes import returned_path
from localtune.old_names.table import OLD_NAMES, ROWS
from localtune.old_names.use import is_accepted, use
from localtune.utils.user_code import is_own, methods_of, unwrapped

# Code that uses none of these names is not parsed.
_TELLTALES = {
    "report",
    "localtune",
    "ray",
    "fspath",
    "join",
    *(row.member.partition(".")[0] for row in ROWS if row.member),
}
_MOST_FUNCTIONS = 100


def refusal_of(trainable: Any) -> str | None:
    """Returns why a trainable cannot run: each use of an old name in it, and what to write.

    A process that translates old names gives its notes on them instead: the output of trials may
    go to files.

    Args:
        trainable: A function or class, also with bound arguments or resources.

    Returns:
        The text; None if there is no such use, its text cannot be read, or old names are
        translated.
    """
    found: dict[str, list[str]] = {}
    for function, saves in _functions_of(trainable):
        for name, line in _uses_in(function, saves):
            found.setdefault(name, []).append(
                f'File "{function.__code__.co_filename}", line {line}'
            )
    if is_accepted():
        for name in found:
            use(name)
        return None
    if not found:
        return None
    texts = [
        "\n".join([*dict.fromkeys(places), f"    {OLD_NAMES[name].advice()}"])
        for name, places in found.items()
    ]
    return "\n".join(["The trainable uses old forms of Ray Tune:", *texts, REMEDY])


def _functions_of(trainable: Any) -> Iterator[tuple[FunctionType, bool]]:
    """Yields the functions of a trainable and of what it names beside it.

    With each it tells whether the function is the ``save_checkpoint`` of a trainable class.
    """
    seen: set[Any] = set()
    saving: set[CodeType] = set()
    waiting = [trainable]
    home: _Home | None = None
    while waiting and len(seen) < _MOST_FUNCTIONS:
        each = unwrapped(waiting.pop())
        if isinstance(each, type):
            if each not in seen:
                seen.add(each)
                saving |= _saving_of(each)
                # Its own methods come first, before those of a library's base class.
                waiting += methods_of(each)[::-1]
        elif isinstance(each, FunctionType) and not is_own(each) and each.__code__ not in seen:
            seen.add(each.__code__)
            home = home or _Home.of(each)
            if home.has(each):
                yield each, each.__code__ in saving
                waiting += _named_in(each)


def _saving_of(cls: type) -> set[CodeType]:
    """Returns the code of the method that saves, if a class is a trainable."""
    if not any(each.__name__ == "Trainable" and is_own(each) for each in cls.__mro__):
        return set()
    save = getattr(cls, "save_checkpoint", None)
    return {save.__code__} if isinstance(save, FunctionType) else set()


@dataclass(frozen=True)
class _Home:
    """Where a trainable is defined.

    Attributes:
        package: The first part of its module's name.
        directory: Directory of its file.
    """

    package: str
    directory: str

    @classmethod
    def of(cls, function: FunctionType) -> _Home:
        return cls(_package_of(function), os.path.dirname(function.__code__.co_filename))

    def has(self, function: FunctionType) -> bool:
        """Tells whether a function belongs to the same program."""
        directory = os.path.dirname(function.__code__.co_filename)
        return _package_of(function) == self.package or directory == self.directory


def _package_of(function: FunctionType) -> str:
    return (function.__module__ or "").partition(".")[0]


def _named_in(function: FunctionType) -> list[Any]:
    """Returns the functions and classes that a function names."""
    values = {name: _value_of(name, function) for name in _names_in(function.__code__)}
    found = {name: each for name, each in values.items() if isinstance(each, (FunctionType, type))}
    if found:
        loaded = _loaded_in(function.__code__)
        found = {name: each for name, each in found.items() if name in loaded}
    return list(found.values())


def _loaded_in(code: CodeType) -> set[str]:
    """Returns the names of variables in a piece of code, without those of attributes."""
    names = {each.argval for each in dis.get_instructions(code) if each.opname in _LOADS}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            names |= _loaded_in(each)
    return names | {*code.co_freevars}


_LOADS = {"LOAD_GLOBAL", "LOAD_NAME"}


def _names_in(code: CodeType) -> set[str]:
    """Returns the names of variables and attributes in a piece of code."""
    names = {*code.co_names, *code.co_freevars}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            names |= _names_in(each)
    return names


def _value_of(name: str, function: FunctionType) -> Any:
    if name in function.__code__.co_freevars and function.__closure__:
        cell = function.__closure__[function.__code__.co_freevars.index(name)]
        try:
            return cell.cell_contents
        except ValueError:
            return None
    return function.__globals__.get(name)


def _uses_in(function: FunctionType, saves: bool) -> list[tuple[str, int]]:
    """Returns (old name, line) of each use in a function; none if its text cannot be read.

    Args:
        function: The function.
        saves: Whether it is the ``save_checkpoint`` of a trainable class.
    """
    code = function.__code__
    names = _names_in(code)
    may_use = saves or names & _TELLTALES
    if not may_use and not any(_dotted(_value_of(name, function)) for name in names):
        return []
    try:
        # inspect.getsourcelines() would look through all modules.
        lines = linecache.getlines(code.co_filename, function.__globals__)
        block = inspect.getblock(lines[code.co_firstlineno - 1 :])
        tree = ast.parse(textwrap.dedent("".join(block)))
    except _NO_TEXT:
        return []
    method = tree.body[0] if tree.body else None
    name_there = getattr(method, "name", None)
    if method is None or (name_there != code.co_name and code.co_name != "<lambda>"):
        return []  # There is no text, or the file has changed since it was loaded.
    uses = find_old_uses(tree, lambda name: _dotted(_value_of(name, function)), certain=True)
    found = [(use.name, use.line) for use in uses]
    if saves and isinstance(method, ast.FunctionDef):
        returned = returned_path(method)
        if returned is not None:
            found.append((SAVED_PATH, getattr(returned, "lineno", 1)))
    return [(name, code.co_firstlineno + line - 1) for name, line in found]


_NO_TEXT = (
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    IndexError,
    tokenize.TokenError,
    # Of a very deep expression.
    RecursionError,
    MemoryError,
)


def _dotted(value: Any) -> str | None:
    """Returns the dotted name of a module, or of a function or class of localtune."""
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, (FunctionType, type)) and is_own(value):
        # `functools.wraps(tune.report)` gives a function of the user's the name of another one.
        module = sys.modules.get(value.__module__)
        is_named = getattr(module, value.__qualname__, None) is value
        return f"{value.__module__}.{value.__qualname__}" if is_named else None
    return None
