"""The standard descriptors of this process, which whoever started it may have closed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_STANDARD = (0, 1, 2)


@contextlib.contextmanager
def standard_fds_taken() -> Iterator[None]:
    """Lets the numbers 0, 1 and 2 stand for no file of this process's own in the meantime.

    The next file that is opened gets the lowest free number: where a standard descriptor is
    closed, a database would take its place, and what native code prints would go there.
    """
    opened = {}
    try:
        for fd in _STANDARD:
            if _identity(fd) is None:
                # The lowest free number, as those below are taken.
                taken = os.open(os.devnull, os.O_RDWR)
                opened[taken] = _identity(taken)
        yield
    finally:
        for fd, identity in opened.items():
            # Unless somebody has put something else there.
            if _identity(fd) == identity:
                os.close(fd)


def _identity(fd: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = os.fstat(fd)
        return status.st_dev, status.st_ino
    return None
