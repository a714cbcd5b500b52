"""Detects changed source code by digests."""

from __future__ import annotations

import inspect

from localtune.utils.digests import sha256


def source_digest(thing: object) -> str | None:
    """Returns a digest of the source text of a function or a class.

    Args:
        thing: The function or the class. Another object may have a method ``source_text``.

    Returns:
        A SHA-256 digest in hexadecimal digits. None if there is no source text: the object is of
        another kind, or it was typed in a console.
    """
    thing = inspect.unwrap(thing)  # type: ignore[arg-type]
    own_text = getattr(thing, "source_text", None)
    try:
        is_own = callable(own_text) and not isinstance(thing, type)
        text = own_text() if is_own else inspect.getsource(thing)  # type: ignore[arg-type, misc]
    except (OSError, TypeError):
        return None
    return sha256(text.encode("utf-8", "replace")).hexdigest()
