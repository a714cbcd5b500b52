"""Keeps Python's garbage collector from looking at objects while they are made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the garbage collector of this process.

    It is for the making of very many objects that all stay: each look at them finds no garbage, and
    there would be several. Reference counts free memory as before.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
