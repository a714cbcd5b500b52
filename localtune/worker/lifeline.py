"""Ties between a worker process and those it must not outlive. Linux; no-ops elsewhere."""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int) -> None:
    """Lets the kernel kill this process when its parent process ends.

    Args:
        parent_pid: Id of the parent as it was at the fork; if it ended in between, this
            process ends at once.
    """
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent_pid:
        os._exit(1)


def adopt_orphans() -> bool:
    """Makes this process the parent of its descendants whose own parents end.

    Without it, what a worker started and left behind would slip out of the process tree.

    Returns:
        Whether this platform can do it.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = _libc()
    return libc is not None and libc.prctl(option, value, 0, 0, 0) == 0


_loaded: list[object] = []


def _libc():  # type: ignore[no-untyped-def]  # a ctypes library has no static type
    if not _loaded:
        try:
            import ctypes

            _loaded.append(ctypes.CDLL(None, use_errno=True))
        except (ImportError, OSError):
            _loaded.append(None)
    return _loaded[0]


def flush_c_output() -> None:
    """Writes out what C code has buffered for its streams."""
    libc = _libc() if sys.platform.startswith("linux") else None
    if libc is not None:
        libc.fflush(None)
