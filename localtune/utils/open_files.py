"""How many files a process may have open, and how many it has. No limits are known on Windows."""

from __future__ import annotations

import contextlib
import os

# macOS says "no limit" and means this.
_UNLIMITED = 10_240


def limits() -> tuple[int, int] | None:
    """The soft limit, which is in force, and the hard one, up to which it may be raised."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = _UNLIMITED if soft == resource.RLIM_INFINITY else max(soft, _UNLIMITED)
    return (hard if soft == resource.RLIM_INFINITY else soft), hard


def set_soft_limit(count: int) -> bool:
    """Lets this process, and those that it starts, have so many files open.

    Returns:
        Whether the system agreed.
    """
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    except (ImportError, OSError, ValueError):
        return False
    return True


def open_count() -> int:
    """How many files this process has open; a guess where the system does not say."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(directory))
    return 16
