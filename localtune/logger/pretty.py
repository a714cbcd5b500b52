"""pretty_print: results as YAML text, without a YAML library."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from localtune.utils.json_encode import dumps
from localtune.utils.text import printable

_LEFT_OUT = ("config", "hist_stats")
# Text that YAML reads as a string without quotes: words that start with a letter.
_BARE = re.compile(r"[A-Za-z_][\w./+-]*(?: [\w./+-]+)*")
_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def pretty_print(result: Mapping[str, Any], exclude: Collection[str] | None = None) -> str:
    """Returns a result as YAML text.

    Args:
        result: A nested result.
        exclude: Keys to leave out, besides ``config``, ``hist_stats`` and keys with the value
            None.

    Returns:
        YAML text with keys in alphabetical order; ``{}`` if no key is left.

    Example:
        >>> print(pretty_print({"loss": 0.5, "info": {"sizes": [1, 2]}, "config": {}}))
        info:
          sizes:
          - 1
          - 2
        loss: 0.5
        <BLANKLINE>
    """
    left_out = {*_LEFT_OUT, *(exclude or ())}
    shown = {
        key: value for key, value in result.items() if value is not None and key not in left_out
    }
    # As in result.json, values that JSON cannot hold become text.
    return "\n".join(_block(json.loads(dumps(shown)), "")) + "\n"


def _block(value: Any, indent: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [
            line
            for key, item in sorted(value.items())
            for line in _entry(f"{indent}{_text(key)}:", item, indent)
        ]
    if isinstance(value, list) and value:
        return [line for item in value for line in _list_item(item, indent)]
    return [indent + _scalar(value)]


def _entry(start: str, item: Any, indent: str) -> list[str]:
    if isinstance(item, dict) and item:
        return [start, *_block(item, indent + "  ")]
    if isinstance(item, list) and item:
        return [start, *_block(item, indent)]
    return [f"{start} {_scalar(item)}"]


def _list_item(item: Any, indent: str) -> list[str]:
    first, *others = _block(item, indent + "  ")
    return [f"{indent}- {first.lstrip(' ')}", *others]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)  # An int, or an empty dict or list.


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, letter, exponent = repr(value).partition("e")
    if letter and "." not in mantissa:
        mantissa += ".0"  # YAML 1.1 reads 1e-05 as a string.
    return mantissa + letter + exponent


def _text(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    # A JSON string is a YAML string, except for some characters that YAML refuses.
    return printable(json.dumps(text, ensure_ascii=False))
