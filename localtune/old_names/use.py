"""What happens when a script uses an old name: it is refused, or translated with one note."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localtune.old_names.table import OLD_NAMES


class OldNameError(DeprecationWarning, TypeError):
    """An old name that is refused; the message says what to write.

    Ray Tune raises DeprecationWarning for the arguments that it has removed.
    """


# {old name, or a group of them: its translation}. Only localtune.compat fills it.
translations: dict[str, Callable[..., Any]] = {}
# Tells the user once what to write instead of an old name.
note: Callable[[str], None] | None = None


def is_accepted() -> bool:
    """Returns whether this process translates old names: ``localtune.compat`` is installed."""
    return note is not None


def use(name: str, error: type[Exception] = OldNameError) -> None:
    """Notes the use of an old name that this process translates, and refuses all others.

    Args:
        name: A name in the table.
        error: Class of the error.

    Raises:
        Exception: of class ``error``, with what to write, if old names are not translated.
    """
    if note is None:
        raise error(OLD_NAMES[name].refusal())
    note(name)
