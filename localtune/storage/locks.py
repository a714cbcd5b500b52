"""Makes sure that one parent at a time works on an experiment's directory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from typing import Any

from localtune.error import ExperimentInUseError, StorageError
from localtune.utils.file_lock import FileLock
from localtune.utils.files import no_link, write_file

LOCK_FILE = ".lock"
# Names the process that holds the lock. The lock's file is emptied by each attempt to lock it.
OWNER_FILE = ".lock_owner.json"


class Hold:
    """Represents the held lock of an experiment's directory.

    Attributes:
        keeps_file: Whether the lock's file stays although this holder made it. A holder that writes
            into the directory sets it; otherwise the directory is left as it was found.
    """

    def __init__(self) -> None:
        self.keeps_file = False


@contextlib.contextmanager
def experiment_locked(experiment_path: str) -> Iterator[Hold]:
    """Holds the lock of an experiment's directory; the system releases it if this process dies.

    Args:
        experiment_path: Directory of the experiment; must exist.

    Raises:
        ExperimentInUseError: if another process, or another run of this one, holds it.
        StorageError: if the file of the lock cannot be used.
        FileNotFoundError: if the directory does not exist.
    """
    path = os.path.join(experiment_path, LOCK_FILE)
    hold = Hold()
    while True:
        descriptor, is_new = _open_lock_file(path)
        try:
            lock = _acquired(path, experiment_path)
            try:
                if not _is_at(descriptor, path):
                    continue  # Another process removed the file after this one opened it.
                yield from _holding(experiment_path, hold)
                return
            finally:
                if is_new and not hold.keeps_file:
                    # Before the release: another process must not lock the removed file.
                    with contextlib.suppress(OSError):
                        os.remove(path)
                if lock is not None:
                    lock.release()
        finally:
            os.close(descriptor)


def _holding(experiment_path: str, hold: Hold) -> Iterator[Hold]:
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
    owner_file = os.path.join(experiment_path, OWNER_FILE)
    try:
        with contextlib.suppress(OSError):  # Others need the file only for their messages.
            write_file(owner_file, json.dumps(owner).encode(), sync=False)
        yield hold
    finally:
        with contextlib.suppress(OSError):  # The user may have removed or replaced it.
            os.remove(owner_file)


def _open_lock_file(path: str) -> tuple[int, bool]:
    """Opens or makes the file of a lock; returns the descriptor and whether the file is new.

    While the descriptor is open, no other file can get the same identity: see :func:`_is_at`.
    """
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o644), True
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        try:
            descriptor = os.open(path, os.O_RDONLY | flags)
        except FileNotFoundError:
            continue  # Its maker has just removed it.
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _unusable(path, "it is no regular file")
        return descriptor, False


def _acquired(path: str, experiment_path: str) -> FileLock | None:
    """Returns the held lock; None where the file system has no locks."""
    lock = FileLock(path)
    try:
        is_held = lock.acquire(wait=False)
    except NotImplementedError:
        return None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if not is_held:
        raise ExperimentInUseError(_in_use_text(experiment_path))
    return lock


def _is_at(descriptor: int, path: str) -> bool:
    """Tells whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _unusable(path: str, reason: str) -> StorageError:
    return StorageError(
        f"The file {path!r}, which keeps other runs out of its directory, cannot be "
        f"used: {reason}. If no run uses the directory, remove the file; the next run makes it "
        "again."
    )


def owner_of(experiment_path: str) -> dict[str, Any] | None:
    """Returns ``{"pid", "host", "started"}`` of the process that works on an experiment.

    Returns:
        None without an owner's file. The process may be dead: its lock is free then.
    """
    try:
        path = os.path.join(experiment_path, OWNER_FILE)
        with open(path, encoding="utf-8", opener=no_link) as file:
            owner = json.load(file)
    except (OSError, ValueError):
        return None
    return owner if isinstance(owner, dict) else None


def _in_use_text(experiment_path: str) -> str:
    owner = owner_of(experiment_path)
    holder = "another process"
    if owner is not None:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.get("started", 0)))
        holder = f"process {owner.get('pid')} on {owner.get('host')}, which started it at {since}"
    return (
        f"The experiment {experiment_path!r} is being run by {holder}. Wait for it to end, stop it "
        "or choose another name for this run."
    )
