"""Which process works on an experiment.

The owner's file names a process; it may be left over. Whoever holds the lock has the lock's file
open. To try the lock would be no harmless way to ask: a run that starts just then would be told
that it is taken.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from localtune.storage.locks import LOCK_FILE, owner_of

# The clock of the owner's file and that of the system's process table may differ a little.
_CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Owner:
    """A process that works on an experiment.

    Attributes:
        pid: Its id.
        host: Name of its machine.
        started: Unix time at which it took the experiment.
        is_here: Whether it is on this machine; of others it is not known whether they still run.
    """

    pid: int
    host: str
    started: float
    is_here: bool

    def __str__(self) -> str:
        return f"process {self.pid}" if self.is_here else f"process {self.pid} on {self.host}"


def find_owner(experiment_path: str) -> Owner | None:
    """The process that works on an experiment, None if there is none.

    A process of another machine is taken at its word.
    """
    record = owner_of(experiment_path)
    if record is None:
        return None
    import psutil

    pid, host, started = record.get("pid"), record.get("host"), record.get("started")
    if not isinstance(pid, int) or not isinstance(host, str) or pid <= 0:
        return None
    started = float(started) if isinstance(started, (int, float)) else 0.0
    if host != socket.gethostname():
        return Owner(pid, host, started, is_here=False)
    lock_file = os.path.realpath(os.path.join(experiment_path, LOCK_FILE))
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if process.create_time() > started + _CLOCK_TOLERANCE_S:
            return None  # Another process has got its id.
        if all(os.path.realpath(each.path) != lock_file for each in process.open_files()):
            return None
    except psutil.AccessDenied:
        pass  # Another user's: it exists, and more cannot be known.
    except psutil.Error:
        return None
    return Owner(pid, host, started, is_here=True)
