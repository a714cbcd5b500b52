"""Finds the modules that a pickled program refers to, and those that are the user's."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType

from localtune.utils.serialization import MAIN_NAMES

# A program refers to its code before its data, and large data is not read.
_MOST_BYTES = 4 * 1024 * 1024
# In the order of appearance. More would not fit into a packet.
_MOST_NAMES = 200

# A short text, noted in the memo, that is used as the module of a global name,
#     "module" "name" STACK_GLOBAL      the name may come from the memo
# or as the only argument of a function: cloudpickle's for a module.
_MODULE = re.compile(
    rb"""
    \x8c(.)([A-Za-z_][\w.]*)\x94
    (?: (?: \x8c.[^\x94\x93]{1,255}\x94 | h. | j.{4} ) \x93
      | \x85\x94?R
    )
    """,
    re.DOTALL | re.VERBOSE,
)


def modules_of(path: str) -> tuple[str, ...]:
    """Returns the modules that loading a program imports.

    Some may be missing, and a name may be one that the program has as mere text. The modules are
    those that this process has imported.

    Args:
        path: File with the pickle.
    """
    with open(path, "rb") as file:
        data = file.read(_MOST_BYTES)
    found: dict[str, None] = {}
    for length, name in _MODULE.findall(data):
        if length[0] == len(name):
            found[name.decode()] = None
    return tuple(
        name
        for name in found
        if name in sys.modules and name not in MAIN_NAMES and name not in sys.builtin_module_names
    )[:_MOST_NAMES]


def users_modules() -> dict[str, ModuleType]:
    """Returns {name: module} of the modules of this process whose files are not installed."""
    library = os.path.dirname(os.__file__) + os.sep
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str) and not (path.startswith(library) or "-packages" + os.sep in path):
            found[name] = module
    return found
