"""Modules, and names of modules, that scripts look for in the places of earlier releases."""

from __future__ import annotations

from typing import Any

from localtune.old_names import use as old
from localtune.old_names.table import OLD_NAMES


def refuse_old_import(name: str) -> None:
    """Refuses the name of an old module below ``localtune``.

    ``from localtune import NAME`` asks for the module ``localtune.NAME``, too.

    Args:
        name: Dotted name of a module that does not exist.

    Raises:
        ImportError: if the table of old names has it; the message says what to write.
    """
    below = name.removeprefix("localtune.")
    row = OLD_NAMES.get(f"tune.{below}")
    while row is None and below:
        row = OLD_NAMES.get(below)
        below = below.rpartition(".")[0]
    if row is None or (row.kind == "name" and old.is_accepted()):
        return  # The __getattr__ of the module translates the name.
    raise ImportError(row.refusal(), name=name)


def is_old_name(owner: str, name: str) -> bool:
    """Returns whether a name of a module is in the table.

    Args:
        owner: The module's name in the table, such as ``tune``.
        name: The attribute.
    """
    row = OLD_NAMES.get(f"{owner}.{name}")
    return row is not None and row.kind == "name"


def old_name(owner: str, name: str, module: str, error: type[Exception] = AttributeError) -> Any:
    """Returns what an old name of a module stands for: for the ``__getattr__`` of modules.

    Its translation is the object itself, such as a function or a class.

    Args:
        owner: The module's name in the table, such as ``tune``.
        name: The attribute.
        module: Name of the module for the error of all other names.
        error: Class of the error without ``localtune.compat``. For a module that is no package,
            ImportError: ``from MODULE import NAME`` hides the text of an AttributeError.

    Raises:
        AttributeError: for unknown names; for an old module, with what to write.
        Exception: of class ``error``, with what to write.
    """
    if not is_old_name(owner, name):
        row = OLD_NAMES.get(f"{module}.{name}".removeprefix("localtune."))
        if row is not None and row.kind == "module":  # `tune.track.log(...)` in a script.
            raise AttributeError(row.refusal())
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    old.use(f"{owner}.{name}", error)
    return old.translation_of(f"{owner}.{name}")
