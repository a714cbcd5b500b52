"""What processes inherit from this one, to be compared before one is used again."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import Any

from localtune.execution.process.launcher import search_path
from localtune.utils.files import current_directory

# Identity and capabilities, mask of new files, CPUs and memory nodes.
_INHERITED = ("Umask", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp", "Cpus", "Mems")


def surroundings() -> list[Any]:
    """Returns what a process would be given that this thread starts now. Linux."""
    limits = [
        resource.getrlimit(each)
        for name, each in vars(resource).items()
        # Workers get the soft limit of open files by themselves.
        if name.startswith("RLIMIT_") and each != resource.RLIMIT_NOFILE
    ]
    return [
        os.getpid(),
        dict(os.environ),
        current_directory(),
        search_path(),
        list(sys.argv),
        list(sys.warnoptions),
        sys.executable,
        limits,
        resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getscheduler(0),
        _read("/proc/thread-self/cgroup"),
        _read("/proc/self/oom_score_adj"),
        [line for line in _read("/proc/thread-self/status") if line.startswith(_INHERITED)],
    ]


def _read(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.readlines()
    return []
