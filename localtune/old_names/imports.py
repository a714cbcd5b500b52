"""Modules and names that scripts import from the places of earlier releases."""

from __future__ import annotations

from localtune.old_names.table import OLD_NAMES


def refuse_old_import(name: str) -> None:
    """Refuses the name of an old module below ``localtune``.

    ``from localtune import NAME`` asks for the module ``localtune.NAME``, too.

    Args:
        name: Dotted name of a module that does not exist.

    Raises:
        ImportError: if the table of old names has the module; it says what to write.
    """
    row = OLD_NAMES.get(name.removeprefix("localtune."))
    if row is not None:
        raise ImportError(row.refusal(), name=name)
