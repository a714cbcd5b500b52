"""Imports the trainable that ``module:trainable`` or ``file.py:trainable`` names."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import shlex
import sys
import traceback
from types import ModuleType
from typing import Any

from localtune.error import UsageError
from localtune.utils.messages import say
from localtune.utils.text import did_you_mean


def load_trainable(target: str, directory: str, *, travels: bool = False) -> Any:
    """Imports the module of a target, and returns its trainable.

    Args:
        target: ``module:trainable`` or ``file.py:trainable``; after the colon, names may be
            joined by dots.
        directory: Where files, and modules besides those that are installed, are looked for.
        travels: Whether the code of a file goes to workers by value, as that of a script does.
            They may run on machines that do not have the file.

    Raises:
        UsageError: if there is no such module or trainable, or the module cannot be imported. In
            the last case its traceback is printed.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise UsageError(_no_target_text(target, directory))
    if place.endswith(".py"):
        module = _module_of_file(place, directory)
        if travels:
            import cloudpickle

            cloudpickle.register_pickle_by_value(module)
    else:
        module = _module_of_name(place, directory)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(found) if not each.startswith("_")]
            hint = did_you_mean(part, known)
            raise UsageError(f"{place!r} has no {part!r}.{hint}")
        found = getattr(found, part)
    if not callable(found):
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
    module = _imported(name)
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
        # Imports the packages around it, if any.
        is_there = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error  # What a package imports is missing.
        is_there = False
    except (ImportError, ValueError):
        is_there = False
    except Exception as error:
        raise _broken(name, error) from error
    if not is_there:
        raise UsageError(
            f"There is no module {name!r} in {directory!r} or among the installed ones."
        )
    return _imported(name)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> UsageError:
    """Makes the error for a module that fails; prints the traceback, which shows the place."""
    frames = error.__traceback__
    own = ("importlib", os.path.basename(__file__))
    while frames is not None and any(each in frames.tb_frame.f_code.co_filename for each in own):
        frames = frames.tb_next
    say("".join(traceback.format_exception(type(error), error, frames)).rstrip("\n"))
    reason = "it ended the program" if isinstance(error, SystemExit) else type(error).__name__
    text = f"The module {name!r} cannot be imported: {reason}."
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "ray":
        text += (
            " It is written for Ray. With localtune in its place, run the same command as "
            "`python -m localtune.compat -m localtune ...`."
        )
    return UsageError(text)


def _look_in(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)


def _no_target_text(target: str, directory: str) -> str:
    text = (
        f"The target must be module:trainable, file.py:trainable, or a sweep file (.toml, .yaml), "
        f"but got {target!r}."
    )
    if any(each.isspace() for each in target):
        return f"{text} To run a program, write --command {shlex.quote(target)}"
    names = _names_in(os.path.join(directory, target.rstrip(":")))
    if names:
        text += f" For example: {target.rstrip(':')}:{names[-1]}"
    return text


def _names_in(path: str) -> list[str]:
    """Returns functions and classes at the top of a file, without running it."""
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
