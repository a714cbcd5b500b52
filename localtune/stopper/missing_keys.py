"""MissingKeys: warns of metrics that a stopper needs and results do not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localtune.utils.dicts import flatten_dict, unflattened_lookup
from localtune.utils.text import did_you_mean

MISSING: Any = object()


def value_of(key: str, result: Mapping[str, Any]) -> Any:
    """Returns the value of a flat key in a nested result, or MISSING.

    None and nested dicts count as missing.

    Args:
        key: The key, with ``/`` between the names of nested keys.
        result: The nested result.
    """
    value = result.get(key, MISSING)
    if value is MISSING and "/" in key:
        value = unflattened_lookup(key, result, default=MISSING)
    return MISSING if value is None or isinstance(value, Mapping) else value


class MissingKeys:
    """Checks whether the first result has the keys that a stopper needs.

    Args:
        what: Name of the stopper, for the warnings.
        keys: The keys, with ``/`` between the names of nested keys.
    """

    def __init__(self, what: str, keys: Iterable[str]) -> None:
        self._what = what
        self._unchecked = list(keys)

    def warnings(self, result: Mapping[str, Any]) -> list[str]:
        """Returns a warning for each key that is missing in the first result.

        Later calls return no warnings.
        """
        missing = [key for key in self._unchecked if value_of(key, result) is MISSING]
        self._unchecked = []
        return [self._text(key, result) for key in missing]

    def _text(self, key: str, result: Mapping[str, Any]) -> str:
        hint = did_you_mean(key, flatten_dict(dict(result)))
        return (
            f"{self._what} looks for {key!r}, but the first result does not have it.{hint} "
            "A result without it stops no trial."
        )
