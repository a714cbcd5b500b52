"""Protects the standard descriptors of a process that was started with some of them closed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_STANDARD = (0, 1, 2)


@contextlib.contextmanager
def standard_fds_taken() -> Iterator[None]:
    """Keeps the descriptors 0, 1 and 2 from being given to other files inside the ``with`` block.

    A new file gets the lowest free descriptor. Where a standard descriptor is closed, a database
    could get its number, and native code that prints would write into the database.
    """
    opened = {}
    try:
        for fd in _STANDARD:
            if _identity(fd) is None:
                # open() returns this number: all lower ones are in use.
                placeholder = os.open(os.devnull, os.O_RDWR)
                opened[placeholder] = _identity(placeholder)
        yield
    finally:
        for fd, identity in opened.items():
            # Other code may have closed it and opened another file there.
            if _identity(fd) == identity:
                os.close(fd)


def _identity(fd: int) -> tuple[int, int] | None:
    """Returns (device, inode) of an open descriptor; None if it is closed."""
    with contextlib.suppress(OSError):
        status = os.fstat(fd)
        return status.st_dev, status.st_ino
    return None
