"""Whether code is still what it was."""

from __future__ import annotations

import hashlib
import inspect


def source_digest(thing: object) -> str | None:
    """A digest of the text of a function or a class.

    Returns:
        None if its text cannot be had: it is no function or class, or was typed in a console.
    """
    try:
        text = inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
