"""Checks that several configs share."""

from __future__ import annotations

from typing import Any, TypeVar

Config = TypeVar("Config")


def config_of(kind: type[Config], name: str, given: Any) -> Config:
    """The config that was given, or the default one in place of None.

    Args:
        kind: Its class.
        name: The argument that it was given as.
        given: The config, or None.

    Raises:
        ValueError: for an object of another class.
    """
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise ValueError(
            f"{name} must be a {kind.__name__}, but got {given!r}. "
            f"Pass {name}={kind.__name__}(...)."
        )
    return given


def is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
