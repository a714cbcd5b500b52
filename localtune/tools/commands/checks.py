"""Checks of values that options and sweep files share: each returns the value, or refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localtune.error import UsageError
from localtune.utils.text import did_you_mean

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def text(value: Any) -> str:
    """Checks for a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"must be a text, but got {value!r}.")
    return value


def whole_number(value: Any) -> int:
    """Checks for a whole number, or the text of one."""
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+\s*", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"must be a whole number, but got {value!r}.")
    return value


def positive(value: Any) -> int:
    """Checks for a whole number of at least 1."""
    number = whole_number(value)
    if number < 1:
        raise UsageError(f"must be at least 1, but got {number}.")
    return number


def one_of(*known: str) -> Callable[[Any], str]:
    """Makes a check for one of some words; its error suggests the nearest word."""

    def check(value: Any) -> str:
        if value in known:
            return str(value)
        hint = did_you_mean(value, known)
        raise UsageError(f"must be one of {', '.join(known)}, but got {value!r}.{hint}")

    return check


def duration(value: Any) -> float:
    """Reads seconds: a number, or a text such as ``90``, ``30m``, ``2h``, ``1d``.

    Example:
        >>> duration("1.5h"), duration(90)
        (5400.0, 90.0)
    """
    match = _DURATION.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None or not float(match[1]) > 0:
        raise UsageError(f"must be seconds, or a duration such as 30m, 2h, 1d, but got {value!r}.")
    return float(match[1]) * _SECONDS[match[2]]


def flag(value: Any) -> bool:
    """Checks for true or false."""
    if not isinstance(value, bool):
        raise UsageError(f"must be true or false, but got {value!r}.")
    return value
