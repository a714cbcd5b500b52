"""Finds the process that works on an experiment.

The owner's file names a process, but may be left over from a dead one. The owner has the lock's
file open. Trying the lock would be harmful: a run that starts at that moment would fail because
the experiment is in use.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from localtune.storage.locks import LOCK_FILE, owner_of

# Largest difference between the clock of the owner's file and that of the process table.
_CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Owner:
    """Identifies a process that works on an experiment.

    Attributes:
        pid: Id of the process.
        host: Name of its machine.
        started: Unix time at which it started to work on the experiment.
        is_here: Whether it is on this machine. A process on another machine may have ended.
    """

    pid: int
    host: str
    started: float
    is_here: bool

    def __str__(self) -> str:
        return f"process {self.pid}" if self.is_here else f"process {self.pid} on {self.host}"


def find_owner(experiment_path: str) -> Owner | None:
    """Returns the process that works on an experiment; None if there is none.

    A process of another machine is assumed to be alive.
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
            return None  # The id belongs to a later process now.
        if all(os.path.realpath(each.path) != lock_file for each in process.open_files()):
            return None
    except psutil.AccessDenied:
        pass  # Another user's process: it exists, but its files are not visible.
    except psutil.Error:
        return None
    return Owner(pid, host, started, is_here=True)
