"""Makes processes end with their parents. On Linux; without effect elsewhere."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Seconds within which a process ends after it was killed, or after its parent has ended.
END_TIMEOUT_S = 5.0
# Of 1000: the kernel adds half of the machine's memory to that of the process.
_OOM_SCORE = 500


def die_with_parent(parent_pid: int) -> None:
    """Lets the kernel kill this process when its parent process ends.

    Args:
        parent_pid: Id of the parent as it was at the fork; if it ended in between, this
            process ends at once.
    """
    if signal_when_parent_dies(signal.SIGKILL) and os.getppid() != parent_pid:
        os._exit(1)


def signal_when_parent_dies(signum: int) -> bool:
    """Lets the kernel send this process a signal when its parent process ends.

    Returns:
        Whether this platform can do it.
    """
    return _prctl(_PR_SET_PDEATHSIG, signum)


def adopt_orphans() -> bool:
    """Makes this process the parent of its descendants whose own parents end.

    Without it, processes that a worker has left behind would not be found in the process tree.

    Returns:
        Whether this platform can do it.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_ended_first() -> None:
    """Lets the kernel, if memory runs out, end this process before the parent of the run.

    Processes that it starts inherit that. A higher score is not lowered.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        # Each worker does this, and a file object costs it ten times as much.
        fd = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    except OSError:
        return
    with contextlib.suppress(OSError, ValueError):
        if int(os.read(fd, 16)) < _OOM_SCORE:
            os.write(fd, b"%d" % _OOM_SCORE)
    os.close(fd)


def children_of(pid: int) -> list[int]:
    """Returns the ids of the direct children of a process, with those that were not waited for."""
    children: list[int] = []
    try:
        # Each thread has its own children.
        for thread in os.listdir(f"/proc/{pid}/task"):
            children += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            children = [child.pid for child in psutil.Process(pid).children()]
    return children


def _read(path: str) -> bytes:
    """Reads a file. A template does so for each worker, and a file object costs it more."""
    parts = []
    fd = os.open(path, os.O_RDONLY)
    try:
        while part := os.read(fd, 4096):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def end_children(spare: Collection[int] | Callable[[], Collection[int]] = ()) -> None:
    """Kills and reaps the children of this process, and their descendants.

    This process must adopt orphans.

    Args:
        spare: Ids of children that are not killed; or a function that returns them, which is called
            when the children are known.
    """
    spared: set[int] = set()
    while True:
        children = children_of(os.getpid())
        spared.update(spare() if callable(spare) else spare)
        children = [pid for pid in children if pid not in spared]
        if not children:
            return
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            except PermissionError:
                # It runs as another user, by sudo for instance.
                spared.add(pid)
        for pid in children:
            if pid not in spared:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def ends_within(pidfd: int, duration_s: float) -> bool:
    """Returns whether a process ends within some seconds.

    Args:
        pidfd: Its process descriptor.
        duration_s: How many.
    """
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    return bool(ended.poll(duration_s * 1000.0))


def kill_descendants() -> None:
    """Kills all descendants of this process."""
    if not children_of(os.getpid()):
        return
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = _libc()
    return libc is not None and libc.prctl(option, value, 0, 0, 0) == 0


@functools.cache
def _libc() -> ctypes.CDLL | None:
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True)
    except (ImportError, OSError):
        return None


def flush_c_output() -> None:
    """Writes out what C code has buffered for its streams."""
    libc = _libc() if sys.platform.startswith("linux") else None
    if libc is not None:
        libc.fflush(None)
