"""One parent at a time works on an experiment's directory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from localtune.error import ExperimentInUseError
from localtune.utils.files import write_file

LOCK_FILE = ".lock"
# Who holds the lock. A file of its own: whoever asks for the lock empties that file.
OWNER_FILE = ".lock_owner.json"


@contextlib.contextmanager
def experiment_locked(experiment_path: str) -> Iterator[None]:
    """Holds an experiment's directory; the system lets go of it when this process dies.

    Args:
        experiment_path: Directory of the experiment; must exist.

    Raises:
        ExperimentInUseError: if another process (or another run of this one) holds it.
    """
    import filelock

    lock = filelock.FileLock(os.path.join(experiment_path, LOCK_FILE), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise ExperimentInUseError(_in_use_text(experiment_path)) from None
    except NotImplementedError:
        # A file system without locks: nothing can be held there.
        yield
        return
    try:
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
        write_file(
            os.path.join(experiment_path, OWNER_FILE), json.dumps(owner).encode(), sync=False
        )
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(experiment_path, OWNER_FILE))
        lock.release()


def owner_of(experiment_path: str) -> dict[str, Any] | None:
    """``{"pid", "host", "started"}`` of the process that works on an experiment.

    Returns:
        None if nobody has said so. The process may be dead: its lock is free then.
    """
    try:
        with open(os.path.join(experiment_path, OWNER_FILE), encoding="utf-8") as file:
            owner = json.load(file)
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) else None


def _in_use_text(experiment_path: str) -> str:
    owner = owner_of(experiment_path)
    who = "another process"
    if owner is not None:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.get("started", 0)))
        who = f"process {owner.get('pid')} on {owner.get('host')}, which started it at {since}"
    return (
        f"The experiment {experiment_path!r} is being run by {who}. Wait for it to end, stop it, "
        "or give this run another name."
    )
