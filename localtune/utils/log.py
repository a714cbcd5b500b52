"""How much is printed: the levels, and the level of this process."""

from __future__ import annotations

from localtune.config.run import Verbosity, check_verbosity

__all__ = ["Verbosity", "disable_ipython", "has_verbosity", "set_verbosity"]

# The level of the run of this process, or what set_verbosity was called with since then.
_level = int(Verbosity.V1_EXPERIMENT)
_shows_in_notebooks = True


def set_verbosity(level: int | Verbosity) -> None:
    """Sets the level that :func:`has_verbosity` compares with. Each run sets it to its ``verbose``.

    What a run prints depends on ``verbose`` of :class:`~localtune.RunConfig` alone.

    Args:
        level: 0 to 3.

    Raises:
        ValueError: for another level.
    """
    global _level
    check_verbosity(level)
    _level = int(level)


def has_verbosity(level: int | Verbosity) -> bool:
    """Returns whether this process is to print what belongs to a level.

    Args:
        level: 0 to 3.

    Example:
        >>> set_verbosity(Verbosity.V2_TRIAL_NORM)
        >>> has_verbosity(1), has_verbosity(3)
        (True, False)
    """
    return _level >= int(level)


def disable_ipython() -> None:
    """Makes reporters of this process print text in notebooks, too, in place of HTML."""
    global _shows_in_notebooks
    _shows_in_notebooks = False


def shows_in_notebooks() -> bool:
    """Returns whether reporters may show HTML in a notebook."""
    return _shows_in_notebooks
