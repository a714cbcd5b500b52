"""The state that a new process inherits from this one; a guard is used again if it is the same."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import Any

from localtune.execution.process.launcher import search_path
from localtune.execution.process.program_modules import users_modules
from localtune.utils.files import current_directory

# Identity and capabilities, mask of new files, CPUs and memory nodes.
_INHERITED = ("Umask", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp", "Cpus", "Mems")


# pytest sets it anew in each test. No import depends on its value.
_FLEETING = ("PYTEST_CURRENT_TEST",)


def fleeting_variables() -> dict[str, str]:
    """Returns the variables of the environment that a guard from before gets anew for each run."""
    return {name: os.environ[name] for name in _FLEETING if name in os.environ}


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
        dict(os.environ) | dict.fromkeys(fleeting_variables(), ""),
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
        _Imports(),
    ]


class _Imports:
    """The imports of the user's modules; equal to later ones if none was repeated in between.

    A module may have read a file that has changed since, which is why the user reloads it.
    """

    def __init__(self) -> None:
        # Each import of a module makes another specification.
        self._specs = {name: module.__spec__ for name, module in users_modules().items()}

    def __eq__(self, later: object) -> bool:
        if not isinstance(later, _Imports):
            return NotImplemented
        return all(later._specs.get(name) is spec for name, spec in self._specs.items())

    __hash__ = None  # type: ignore[assignment]


def _read(path: str) -> list[str]:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.readlines()
    return []
