"""The directory in which an executor keeps what its processes read: settings, program, crashes.

::

    make:    mkdtemp -> lock `.lock` -> still the same directory? -> ours (else once more)
    remove:  unlock -> rmtree
    sweep:   for each directory of this user: lock it at once or leave it -> rmtree -> unlock

The system lets go of a lock when its process dies, however it dies: what can be locked has no
owner. A directory that is swept between being made and being locked is noticed by its maker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import filelock

PREFIX = "localtune-run-"
_LOCK_FILE = ".lock"
# There from the start: a directory without it was swept, and is another one of the same name.
_MARKER = ".made"


class PrivateDir:
    """A locked directory for temporary files that only this user can read.

    Making one removes those that killed processes have left behind.
    """

    def __init__(self) -> None:
        sweep()
        while True:
            self.path = tempfile.mkdtemp(prefix=PREFIX)
            marker = os.path.join(self.path, _MARKER)
            with contextlib.suppress(FileNotFoundError), open(marker, "x"):
                pass
            self._lock = _lock_of(self.path)
            with contextlib.suppress(NotImplementedError):  # A file system without locks.
                self._lock.acquire()
            if os.path.exists(marker):
                return
            # Locking has made it once more.
            self.remove()

    def remove(self) -> None:
        """Removes the directory and all that is in it."""
        # Windows removes no file that is open. Whoever sweeps now does the same.
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> None:
    """Removes the directories whose makers have died."""
    import filelock

    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if not (entry.name.startswith(PREFIX) and _is_ours(entry)):
                continue
            lock = _lock_of(entry.path)
            with contextlib.suppress(filelock.Timeout, NotImplementedError, OSError):
                lock.acquire(timeout=0)
                try:
                    shutil.rmtree(entry.path, ignore_errors=True)
                finally:
                    lock.release()


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
