"""Writes JSON that every program reads."""

from __future__ import annotations

import json
from typing import Any

from localtune.utils.json_encode import dumps
from localtune.utils.messages import show_lines
from localtune.utils.text import json_escaped


def show_json(value: Any) -> None:
    """Prints a value as :func:`json_text` writes it."""
    show_lines(json_text(value))


def json_text(value: Any) -> str:
    r"""Returns a value as indented JSON; NaN and the infinities are null, as strict readers need.

    Characters that steer a terminal are escapes, wherever the text is shown.

    Example:
        >>> json_text([float("nan")])
        '[\n  null\n]'
    """
    plain = json.loads(dumps(value), parse_constant=lambda _: None)
    return json_escaped(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False))
