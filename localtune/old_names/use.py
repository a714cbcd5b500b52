"""What happens when a script uses an old name: it is refused, or translated with one note."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn


class OldNameError(DeprecationWarning, TypeError):
    """An old name that is refused; the message says what to write.

    Ray Tune raises DeprecationWarning for the arguments that it has removed.
    """


# Gives the translation of an old name; set together with `note`. How a translation is called is
# said below, or in the module of its kind of name.
find_translation: Callable[[str], Any] | None = None
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
        refuse([name], error)
    note(name)


def refuse(names: Iterable[str], error: type[Exception] = OldNameError) -> NoReturn:
    """Refuses old names that belong together.

    Args:
        names: Names in the table.
        error: Class of the error.

    Raises:
        Exception: of class ``error``, with what to write.
    """
    # Workers load this module, and most of them never need the table.
    from localtune.old_names.row import REMEDY
    from localtune.old_names.table import OLD_NAMES

    raise error(" ".join([*(OLD_NAMES[name].advice() for name in names), REMEDY]))


METRIC_ALONE = "metric= without mode="


def mode_alone(metric: Any, mode: str | None) -> str | None:
    """Returns the mode for a metric: the given one, or what a metric without a mode meant once.

    Args:
        metric: The metric, None if there is none.
        mode: The mode, None if there is none.

    Returns:
        None if this process does not translate old names, or if there is no metric.
    """
    if mode is None and metric is not None and is_accepted():
        return str(translated(METRIC_ALONE))
    return mode


def translated(name: str, *args: Any, error: type[Exception] = OldNameError) -> Any:
    """Returns the translation of an old form, or refuses it.

    Args:
        name: A name in the table.
        *args: Arguments of the translation.
        error: Class of the error.

    Raises:
        Exception: see :func:`use`.
    """
    use(name, error)
    return translation_of(name)(*args)


def translation_of(name: str) -> Any:
    """Returns what an old name stands for, in a process that translates old names.

    Args:
        name: A name in the table.
    """
    assert find_translation is not None
    return find_translation(name)
