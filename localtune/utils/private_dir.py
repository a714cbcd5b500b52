"""Directories for temporary files, of which none outlives its process: not even a killed one.

::

    make:    mkdtemp -> lock `.lock` -> write `.owned`
    remove:  unlock -> rmtree
    sweep:   for each directory of this user that has `.owned`, or is old:
             lock it at once or leave it -> rmtree -> unlock

The system lets go of a lock when its process dies, however it dies: a directory that had an owner
and can be locked has none any more. One without `.owned` may belong to a maker that has not come
to its lock yet, so it is left alone until it is older than any making can take.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from localtune.error import StorageError

if TYPE_CHECKING:
    import filelock

PREFIX = "localtune-run-"
# Of copies that are read.
COPY_PREFIX = "localtune-read-"
_LOCK_FILE = ".lock"
# Written when the lock is held.
_OWNED_FILE = ".owned"
# A maker that has not come to its lock for this long has died on the way.
_LONGEST_MAKING_S = 3600.0


class PrivateDir:
    """A locked directory for temporary files that only this user can read.

    Making one removes those that killed processes have left behind.

    Args:
        prefix: How its name begins: :data:`PREFIX` or :data:`COPY_PREFIX`.

    Raises:
        StorageError: if there is no place for it.
    """

    def __init__(self, prefix: str = PREFIX) -> None:
        sweep()
        with _explained():
            self.path = tempfile.mkdtemp(prefix=prefix)
        self._lock = _lock_of(self.path)
        # Nobody else asks for this lock yet: if it cannot be had at once, the file system has no
        # locks, and a sweep cannot have it either. (A timeout is an OSError.)
        with contextlib.suppress(NotImplementedError, OSError):
            self._lock.acquire(timeout=0)
        self.write(_OWNED_FILE, b"")

    def write(self, name: str, data: bytes) -> str:
        """Writes a file; returns its path.

        Raises:
            StorageError: if there is no room for it. The directory has been removed then.
        """
        path = os.path.join(self.path, name)
        try:
            with _explained(), open(path, "xb") as file:
                file.write(data)
        except BaseException:
            self.remove()
            raise
        return path

    def remove(self) -> None:
        """Removes the directory and all that is in it."""
        # Windows removes no file that is open. Whoever sweeps now does the same.
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "localtune needs some room in the directory for temporary files, but there is none "
            f"({error}). Free space there, or name another directory with the environment "
            "variable TMPDIR."
        ) from error


def sweep() -> None:
    """Removes the directories whose makers have died."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            is_one = entry.name.startswith((PREFIX, COPY_PREFIX))
            if not (is_one and _is_ours(entry) and _was_locked(entry)):
                continue
            lock = _lock_of(entry.path)
            with contextlib.suppress(NotImplementedError, OSError):
                lock.acquire(timeout=0)
                try:
                    shutil.rmtree(entry.path, ignore_errors=True)
                finally:
                    lock.release()


def _was_locked(entry: os.DirEntry[str]) -> bool:
    """Whether the maker has had its lock, or has had more than enough time to take it."""
    if os.path.exists(os.path.join(entry.path, _OWNED_FILE)):
        return True
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _LONGEST_MAKING_S
    return False


def _lock_of(path: str) -> filelock.BaseFileLock:
    import filelock

    # Whoever removes the directory and whoever made it may be threads of one process.
    return filelock.FileLock(os.path.join(path, _LOCK_FILE), thread_local=False)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return entry.is_dir(follow_symlinks=False) and (
            not hasattr(os, "getuid") or status.st_uid == os.getuid()
        )
    return False
