"""Detects changed source code by digests."""

from __future__ import annotations

import hashlib
import inspect


def source_digest(thing: object) -> str | None:
    """Returns a digest of the source text of a function or a class.

    Returns:
        A SHA-256 digest in hexadecimal digits. None if Python has no source text for the object: it
        is neither a function nor a class, or it was typed in a console.
    """
    try:
        text = inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
