"""JSON that every program reads."""

from __future__ import annotations

import json
from typing import Any

from localtune.utils.json_encode import dumps


def json_text(value: Any) -> str:
    """A value as JSON, indented; NaN and the infinities are null, which strict readers need.

    Example:
        >>> json_text([float("nan")])
        '[\\n  null\\n]'
    """
    plain = json.loads(dumps(value), parse_constant=lambda _: None)
    return json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False)
