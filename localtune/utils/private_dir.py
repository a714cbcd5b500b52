"""Makes directories for temporary files that are removed even if their process is killed.

::

    make:    mkdtemp -> lock `.lock` -> write `.owned`
    remove:  unlock -> rmtree
    sweep:   for each directory of this user that has `.owned`, or is old:
             lock it without waiting, or skip it -> rmtree -> unlock

A directory may have another one in memory, `.elsewhere`, for large files. That is made in the same
way, and who removes the first removes both.

The system releases a lock when its process ends in any way. A directory with `.owned` whose lock is
free therefore has no owner any more. The maker of a directory without `.owned` may not hold the
lock yet, so a sweep removes such a directory only when it is older than the longest time that
making one can take.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from localtune.error import StorageError
from localtune.utils.file_lock import FileLock
from localtune.utils.private_tree import ELSEWHERE, remove_private

PREFIX = "localtune-run-"
# Prefix of copies that a reader makes.
COPY_PREFIX = "localtune-read-"
# A file system in memory; "" on systems that have none.
MEMORY_ROOT = "/dev/shm" if os.path.isdir("/dev/shm") else ""
_LOCK_FILE = ".lock"
# Written after the maker has taken the lock.
_OWNED_FILE = ".owned"
# A maker that has not taken its lock after this time has died.
_LONGEST_MAKING_S = 3600.0


class PrivateDir:
    """Represents a locked directory for temporary files that only this user can read.

    Making one also removes directories that killed processes have left.

    Args:
        prefix: Start of the directory's name: :data:`PREFIX` or :data:`COPY_PREFIX`.
        parent: Where it is made; None is the directory for temporary files.

    Raises:
        StorageError: if the directory cannot be made.
    """

    def __init__(self, prefix: str = PREFIX, parent: str | None = None) -> None:
        sweep()
        self._elsewhere: PrivateDir | None = None
        with _explained():
            self.path = tempfile.mkdtemp(prefix=prefix, dir=parent)
        self._lock = _lock_of(self.path)
        # No other process wants this lock yet. If it is not free, the file system has no locks,
        # and a sweep cannot take it either.
        with contextlib.suppress(NotImplementedError, OSError):
            self._lock.acquire(wait=False)
        self.write(_OWNED_FILE, b"")

    def write(self, name: str, data: bytes) -> str:
        """Writes a new file and returns its path.

        Args:
            name: Name of the file, without a path.
            data: All of its content.

        Raises:
            StorageError: if the file cannot be written. The directory is removed then.
        """
        with self.create(name) as file:
            file.write(data)
        return os.path.join(self.path, name)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[PrivateFile]:
        """Makes a new file, which is written in a ``with`` block.

        Args:
            name: Name of the file, without a path.

        Raises:
            StorageError: if the file cannot be written. The directory is removed then, as after
                each error in the block.
        """
        try:
            with _explained():
                file = open(os.path.join(self.path, name), "xb")  # noqa: SIM115
            try:
                yield PrivateFile(file)
            finally:
                with _explained(file.name):
                    file.close()
        except BaseException:
            self.remove()
            raise

    def elsewhere(self, parent: str) -> PrivateDir:
        """Makes another directory, which is removed together with this one.

        Args:
            parent: Where it is made.

        Raises:
            StorageError: if it cannot be made.
        """
        other = PrivateDir(parent=parent)
        try:
            with _explained():
                os.symlink(other.path, os.path.join(self.path, ELSEWHERE))
        except BaseException:
            other.remove()
            raise
        self._elsewhere = other
        return other

    def remove(self) -> None:
        """Removes the directory and everything in it."""
        # Windows does not remove open files. A concurrent sweep would remove the same directory.
        self._lock.release()
        if self._elsewhere is not None:
            self._elsewhere.remove()
        remove_private(self.path)


class PrivateFile:
    """Represents a file that is being written.

    Args:
        file: The open file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes | memoryview) -> None:
        """Appends bytes.

        Raises:
            StorageError: if there is no room for them.
        """
        with _explained(self._file.name):
            self._file.write(data)


def is_owned(path: str) -> bool:
    """Returns whether the maker of a directory still lives, and has not removed it.

    Args:
        path: ``path`` of a :class:`PrivateDir` that another process made.
    """
    if not os.path.exists(os.path.join(path, _OWNED_FILE)):
        return False
    lock = _lock_of(path)
    try:
        is_free = lock.acquire(wait=False)
    except (NotImplementedError, OSError):
        return True
    lock.release()
    return not is_free


@contextlib.contextmanager
def _explained(path: str | None = None) -> Iterator[None]:
    """Explains an error.

    Args:
        path: The file, if the error does not name it.
    """
    try:
        yield
    except OSError as error:
        if path is not None:
            error.filename = path
        raise StorageError(
            "localtune needs room in the directory for temporary files, but cannot write there "
            f"({error}). Free space there, or set another directory with the environment "
            "variable TMPDIR."
        ) from error


def sweep() -> None:
    """Removes the directories of processes that have ended."""
    for place in {tempfile.gettempdir(), MEMORY_ROOT} - {""}:
        _sweep(place)


def _sweep(place: str) -> None:
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            is_one = entry.name.startswith((PREFIX, COPY_PREFIX))
            if not (is_one and _is_ours(entry) and _was_locked(entry)):
                continue
            lock = _lock_of(entry.path)
            with contextlib.suppress(NotImplementedError, OSError):
                if not lock.acquire(wait=False):
                    continue
                try:
                    remove_private(entry.path)
                finally:
                    lock.release()


def _was_locked(entry: os.DirEntry[str]) -> bool:
    """Tells whether the maker has taken its lock, or has had more than enough time to do so."""
    if os.path.exists(os.path.join(entry.path, _OWNED_FILE)):
        return True
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _LONGEST_MAKING_S
    return False


def _lock_of(path: str) -> FileLock:
    return FileLock(os.path.join(path, _LOCK_FILE))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return entry.is_dir(follow_symlinks=False) and (
            not hasattr(os, "getuid") or status.st_uid == os.getuid()
        )
    return False
