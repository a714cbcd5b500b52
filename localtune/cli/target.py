"""What ``module:trainable`` and ``file.py:trainable`` mean."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from localtune.error import UsageError
from localtune.utils.text import near_miss


def load_trainable(target: str, directory: str) -> Any:
    """The trainable that a target names; imports its module.

    Args:
        target: ``module:trainable`` or ``file.py:trainable``; after the colon, names may be
            joined by dots.
        directory: Where files, and modules besides those that are installed, are looked for.

    Raises:
        UsageError: if there is no such module, or nothing of that name in it.
        Exception: whatever importing the module raises.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UsageError(_no_target_text(target, directory))
    if place.endswith(".py"):
        module = _module_of_file(place, directory)
    else:
        module = _module_of_name(place, directory)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(found) if not each.startswith("_")]
            guess = near_miss(part, known)
            hint = f" Did you mean {guess!r}?" if guess else ""
            raise UsageError(f"{place!r} has no {part!r}.{hint}")
        found = getattr(found, part)
    if not callable(found) and not isinstance(found, str):
        raise UsageError(
            f"{target!r} is no trainable, but a {type(found).__name__}. Name a function of one "
            "argument, its config, or a class that derives from localtune.Trainable."
        )
    return found


def _module_of_file(place: str, directory: str) -> ModuleType:
    path = os.path.realpath(os.path.join(directory, os.path.expanduser(place)))
    if not os.path.isfile(path):
        raise UsageError(f"There is no file {path!r}.")
    name = os.path.basename(path)[: -len(".py")]
    if "." in name:
        raise UsageError(
            f"{place!r} cannot be imported: there is a dot in its name. Rename the file."
        )
    # As `python file.py` does; workers get the same path.
    _look_in(os.path.dirname(path))
    module = importlib.import_module(name)
    loaded_from = getattr(module, "__file__", None)
    if loaded_from is None or os.path.realpath(loaded_from) != path:
        raise UsageError(
            f"{place!r} cannot be imported: another module is named {name!r} "
            f"({loaded_from or 'built in'}). Rename the file."
        )
    return module


def _module_of_name(name: str, directory: str) -> ModuleType:
    # As `python -m` does.
    _look_in(directory)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # The module is there; something that it imports is not.
        raise UsageError(
            f"There is no module {error.name!r} in {directory!r} or among the installed ones."
        ) from None


def _look_in(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)


def _no_target_text(target: str, directory: str) -> str:
    text = (
        f"The target must be module:trainable, file.py:trainable, or a sweep file (.toml, .yaml), "
        f"but got {target!r}."
    )
    names = _names_in(os.path.join(directory, target.rstrip(":")))
    if names:
        text += f" For example: {target.rstrip(':')}:{names[-1]}"
    return text


def _names_in(path: str) -> list[str]:
    """Functions and classes at the top of a file, without running it."""
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return []
    return [
        each.name
        for each in tree.body
        if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and not each.name.startswith("_")
    ]
