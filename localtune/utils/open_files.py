"""Reads and sets the limit on open files of this process. Windows reports no limits."""

from __future__ import annotations

import contextlib
import os

# So many a run takes for each worker: the parent's end of its pipe; a process descriptor; both ends
# of the pipe for what it prints; a file of each of two loggers.
PER_WORKER = 6

# The actual limit on macOS where it reports "no limit".
_UNLIMITED = 10_240


def limits() -> tuple[int, int] | None:
    """Returns (soft limit, hard limit) on open files; None on Windows.

    The soft limit is in force. A process may raise it up to the hard limit.
    """
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = _UNLIMITED if soft == resource.RLIM_INFINITY else max(soft, _UNLIMITED)
    return (hard if soft == resource.RLIM_INFINITY else soft), hard


def set_soft_limit(count: int) -> bool:
    """Sets the soft limit on open files for this process and its later children.

    Returns:
        Whether the system accepted the limit.
    """
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    except (ImportError, OSError, ValueError):
        return False
    return True


def open_count() -> int:
    """Returns the number of open files of this process; 16 where the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(directory))
    return 16
