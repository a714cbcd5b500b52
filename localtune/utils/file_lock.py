"""FileLock: a lock on a file that the system releases when its process ends in any way.

POSIX has ``flock``, which takes one system call. Elsewhere filelock locks the file. Both lock out
each other on POSIX: filelock uses ``flock``, too.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

try:
    import fcntl
except ImportError:  # Windows
    _FLOCK: Any = None
else:
    _FLOCK = fcntl.flock

HAS_FLOCK = _FLOCK is not None

if TYPE_CHECKING:
    import filelock

_TAKEN = (errno.EACCES, errno.EAGAIN)
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)

# Descriptors of locked files. A forked process that kept them would hold the locks after the death
# of the process that took them.
_held: set[int] = set()


def _forget_held() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_held)


class FileLock:
    """Locks a file, which is made if it does not exist, against other processes and threads.

    Args:
        path: The file.
        with_flock: Whether ``flock`` locks it; else filelock does.
        creates: Whether to make the file if it does not exist; filelock does in any case.
    """

    def __init__(
        self, path: str, *, with_flock: bool = _FLOCK is not None, creates: bool = True
    ) -> None:
        self._path = path
        self._with_flock = with_flock
        self._creates = creates
        self._descriptor: int | None = None
        self._other: filelock.BaseFileLock | None = None

    @property
    def descriptor(self) -> int | None:
        """The descriptor that holds the lock; None if it is not held, or not by a descriptor.

        A process that gets a copy of it holds the lock, too: the lock is free when the last one of
        them has ended, or when one of them has called :meth:`release`.
        """
        return self._descriptor

    def acquire(self, *, wait: bool) -> bool:
        """Takes the lock, which is free or of another holder.

        Args:
            wait: Whether to wait until it is free.

        Returns:
            Whether it is held now.

        Raises:
            NotImplementedError: if the file system has no locks.
            OSError: if the file cannot be used.
        """
        return self._with_filelock(wait) if not self._with_flock else self._flock(wait)

    def release(self) -> None:
        """Gives the lock back, if it is held."""
        if self._descriptor in _held:
            _held.discard(self._descriptor)
            # A process that is being forked at this moment has a copy of the descriptor.
            _FLOCK(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
        self._descriptor = None
        if self._other is not None:
            self._other.release()
            self._other = None

    def _flock(self, wait: bool) -> bool:
        flags = os.O_RDWR | (os.O_CREAT if self._creates else 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self._path, flags, 0o644)
        try:
            _FLOCK(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException as error:
            os.close(descriptor)
            number = error.errno if isinstance(error, OSError) else None
            if number in _TAKEN:
                return False
            if number in _NO_LOCKS:
                raise NotImplementedError(str(error)) from None
            raise
        self._descriptor = descriptor
        _held.add(descriptor)
        return True

    def _with_filelock(self, wait: bool) -> bool:
        import filelock

        # The thread that takes a lock and the thread that releases it may differ.
        lock = filelock.FileLock(self._path, timeout=-1 if wait else 0, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            return False
        self._other = lock
        return True


def is_locked(path: str) -> bool:
    """Returns whether another process holds the lock on a file; makes and changes no file.

    Nobody may be about to take the lock for the first time: for a moment, this call shares it.

    Args:
        path: The file.

    Raises:
        NotImplementedError: if the system, or the file system, has no ``flock``.
        OSError: if there is no such file, or it cannot be read.
    """
    if _FLOCK is None:
        raise NotImplementedError("this system has no flock")
    # O_NONBLOCK: opening a pipe in the place of the file must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _FLOCK(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return True
        if error.errno in _NO_LOCKS:
            raise NotImplementedError(str(error)) from None
        raise
    finally:
        os.close(descriptor)
    return False
