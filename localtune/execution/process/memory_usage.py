"""Measures the memory of processes.

Anonymous and shared memory count, which become free when the process ends. Pages of files (a data
set that is mapped into memory) do not count, because the kernel can take them back. On systems that
do not distinguish them, the resident set counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from localtune.worker.lifeline import children_of


def tree_bytes(pid: int, exact: bool = False) -> int:
    """Returns the memory of a process and its descendants, without pages of files if possible.

    Args:
        pid: The process; one that has ended has no memory.
        exact: Whether memory that several processes share is divided among them. It takes longer:
            about 50 ms per GB.
    """
    return sum(_process_bytes(each, exact=exact) for each in _family(pid))


def _family(root: int) -> Iterator[int]:
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children_of(pid)


def _process_bytes(pid: int, *, exact: bool) -> int:
    """Returns anonymous and shared memory on Linux, elsewhere the resident or unique set."""
    name, prefix = ("smaps_rollup", "Pss_") if exact else ("status", "Rss")
    found = []
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", errors="replace") as file:
        for line in file:
            key, _, rest = line.partition(":")
            if key in (f"{prefix}Anon", f"{prefix}Shmem"):
                found.append(int(rest.split()[0]) * 1024)
    return sum(found) if found else _portable_process_bytes(pid, exact=exact)


def _portable_process_bytes(pid: int, *, exact: bool) -> int:
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if exact:
            with contextlib.suppress(psutil.AccessDenied):
                return int(process.memory_full_info().uss)
        return int(process.memory_info().rss)
    return 0
