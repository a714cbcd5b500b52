"""Reads TOML with each Python."""

from __future__ import annotations

import sys
from typing import Any

from localtune.error import ExtraMissingError


def parse_toml(text: str, purpose: str) -> dict[str, Any]:
    """Returns the content of a TOML file.

    Args:
        text: The file.
        purpose: What needs TOML, as the subject of a sentence.

    Raises:
        ValueError: if it is no TOML.
        ExtraMissingError: with Python 3.10, without the package that reads it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise ExtraMissingError("tomli", "toml", purpose) from None
    return tomllib.loads(text)
