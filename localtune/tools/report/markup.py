"""HTML in which every text is escaped unless it was made here."""

from __future__ import annotations

import html
import json
import math
from typing import Any

_VOID = frozenset({"br", "input", "meta"})
# Within a script, these could end it or open another one.
_UNSAFE_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element.

    Args:
        name: Of the element.
        children: What it holds: :class:`Html` as it is, all else as escaped text. None is left
            out.
        attributes: ``_`` stands for ``-``, and goes from the end: ``class_``. None and False are
            left out, True is an attribute without a value.

    Example:
        >>> tag("p", "a < b", tag("br"), class_="note")
        '<p class="note">a &lt; b<br></p>'
    """
    text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{text}>")
    return Html(f"<{name}{text}>{joined(*children)}</{name}>")


def joined(*children: Any) -> Html:
    """Several pieces after each other, as in :func:`tag`."""
    return Html(
        "".join(
            child if isinstance(child, Html) else html.escape(str(child), quote=False)
            for child in children
            if child is not None
        )
    )


def data_script(element_id: str, value: Any) -> Html:
    """Makes an element with data for scripts.

    The data is JSON in which no text can end the element; NaN and the infinities are null.

    Args:
        element_id: Id of the element.
        value: The data.
    """
    plain = json.dumps(finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    safe = plain.translate(_UNSAFE_IN_SCRIPT)
    return Html(f'<script type="application/json" id="{element_id}">{safe}</script>')


def finite(value: Any) -> Any:
    """The value with None in the place of each float that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{html.escape(str(value))}"'
