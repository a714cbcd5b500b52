"""Which keys a stopper looks for in vain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localtune.utils.dicts import flatten_dict, unflattened_lookup
from localtune.utils.text import near_miss

MISSING: Any = object()


def value_of(key: str, result: Mapping[str, Any]) -> Any:
    """The value of a flat key in a nested result, or MISSING; None and a group are no value."""
    value = result.get(key, MISSING)
    if value is MISSING and "/" in key:
        value = unflattened_lookup(key, result, default=MISSING)
    return MISSING if value is None or isinstance(value, Mapping) else value


class MissingKeys:
    """Looks whether the first result has the keys that a stopper needs.

    Args:
        what: Name of the stopper.
        keys: Flat keys.
    """

    def __init__(self, what: str, keys: Iterable[str]) -> None:
        self._what = what
        self._unchecked = list(keys)

    def warnings(self, result: Mapping[str, Any]) -> list[str]:
        """A text for each key that the first result lacks; nothing for later results."""
        missing = [key for key in self._unchecked if value_of(key, result) is MISSING]
        self._unchecked = []
        return [self._text(key, result) for key in missing]

    def _text(self, key: str, result: Mapping[str, Any]) -> str:
        close = near_miss(key, map(str, flatten_dict(dict(result))))
        hint = f" Did you mean {close!r}?" if close else ""
        return (
            f"{self._what} looks for {key!r}, but the first result does not have it.{hint} "
            "Results without it stop nothing."
        )
