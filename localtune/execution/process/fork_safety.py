"""Tells whether a process may be forked, and whether an import has changed it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import Any, NamedTuple

from localtune.execution.machine import GPU_VARIABLES, THREAD_VARIABLES
from localtune.utils.files import current_directory
from localtune.worker.lifeline import children_of

# Two processes that have one of these open share nothing.
_WITHOUT_STATE = ("/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")
_OF_TRIALS = {*GPU_VARIABLES, *THREAD_VARIABLES}


def why_unsafe_to_fork() -> str:
    """Returns why this process must not be forked; "" if it may be.

    A forked child has one thread only. Locks that other threads of Python hold stay locked in it
    for ever, and a GPU context does not survive a fork. All trials would share processes that an
    import has started, and these could not be told from processes that trials leave behind.
    Threads of numerical libraries are no problem if the library restarts them (OpenBLAS, OpenMP
    of GNU). The template has one such thread per CPU of a trial.
    """
    import threading

    threads = [thread.name for thread in threading.enumerate() if thread.is_alive()]
    if len(threads) > 1:
        return f"importing it starts threads ({', '.join(threads[1:])})"
    if children_of(os.getpid()):
        return "importing it starts processes"
    for target in _open_files().values():
        if target.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri/")):
            return f"importing it opens the GPU ({target})"
    return ""


def why_forks_fail() -> str:
    """Forks a child that ends at once; returns what is wrong with that, "" if nothing is."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        try:
            pid = os.fork()
        except OSError:
            return ""  # No process more is allowed, whatever is imported. The next fork tells it.
        if pid == 0:
            os._exit(0)
    os.waitpid(pid, 0)
    for each in noted:
        # Python warns of any threads, such as those of OpenBLAS.
        if not issubclass(each.category, DeprecationWarning):
            return f"a fork after importing it warns: {each.message}"
    return ""


class ProcessState(NamedTuple):
    """The state of a process that its forked children inherit, and that an import can change.

    An import may add variables to the environment, except those that belong to trials.
    """

    environment: dict[str, str]
    directory: str | None
    search_path: list[str]
    handlers: list[Any]
    blocked_signals: set[int]
    open_files: dict[int, str]

    @classmethod
    def now(cls) -> ProcessState:
        """Returns the state of this process."""
        return cls(
            dict(os.environ),
            current_directory(),
            list(sys.path),
            [signal.getsignal(each) for each in sorted(signal.valid_signals())],
            {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())},
            _open_files(),
        )

    def why_other_than(self, before: ProcessState) -> str:
        """Returns what an import has changed since an earlier state; "" if nothing."""
        environment = self.environment
        changed = [
            key for key, value in before.environment.items() if environment.get(key) != value
        ]
        changed += environment.keys() & _OF_TRIALS - before.environment.keys()
        if changed:
            return f"importing it changes the environment variable {min(changed)}"
        if self.directory != before.directory:
            return "importing it changes the working directory"
        if self.search_path != before.search_path:
            return "importing it changes sys.path"
        if (self.handlers, self.blocked_signals) != (before.handlers, before.blocked_signals):
            return "importing it changes what signals do"
        opened = self.open_files.items() - before.open_files.items()
        shared = [target for _, target in opened if target not in _WITHOUT_STATE]
        return f"importing it leaves a file open ({min(shared)})" if shared else ""


def _open_files() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # The listing's own descriptor is closed by now.
            continue
    return found
