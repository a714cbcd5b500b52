"""OwnLease: the lease of this sweep, which its processes keep locked."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

from localtune.error import LedgerError
from localtune.execution.shared.leases import MAX_BYTES, Lease, encode
from localtune.execution.shared.ledger import CONTENT, LEASE, NEW, Ledger
from localtune.utils.file_lock import FileLock

# Room for the usual content, so that a full disk does not matter later.
_LEAST_BYTES = 1024


class OwnLease:
    """Writes the lease of this sweep, and holds its lock.

    Args:
        ledger: The ledger.
        lease: What the lease says at first; its id is replaced.

    Raises:
        LedgerError: if the lease cannot be made.

    Attributes:
        lease: What the lease says.
    """

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self._ledger = ledger
        self.lease = lease
        self._locks: list[FileLock] = []
        self._fd = -1  # of the file for the content
        self._written = b""
        try:
            self._make()
        except NotImplementedError as error:
            raise LedgerError(
                f"The ledger {ledger.path!r} is not used: its file system has no locks ({error}). "
                "Name a directory on a local disk: ProcessExecutor(shared='/var/tmp/ledger')."
            ) from error
        except LedgerError:
            raise
        except OSError as error:
            raise LedgerError(
                f"The ledger {ledger.path!r} cannot be written: {error.strerror}. Free space "
                "there, or name another directory: ProcessExecutor(shared='/srv/ledger')."
            ) from error

    @property
    def descriptor(self) -> int | None:
        """The descriptor that workers are to hold, too; None where locks have none."""
        return self._locks[0].descriptor

    def write(self, lease: Lease) -> None:
        """Replaces what the lease says.

        Args:
            lease: What it says from now on; its id is the same as before.

        Raises:
            OSError: if it cannot be written; the lease says then what it said.
        """
        self._write(encode(lease))
        self.lease = lease
        self._ledger.note_change()

    def _write(self, content: bytes) -> None:
        # In place, which is a hundred times faster than to replace the file. It never shrinks, so
        # that one call writes it all.
        size = max(len(content), len(self._written), _LEAST_BYTES)
        content = content.ljust(size)
        if os.pwrite(self._fd, content, 0) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._written = content

    def look_after(self) -> str:
        """Repairs the lease if somebody else has changed it.

        Returns:
            What was wrong with it, as a clause; "" if nothing was.

        Raises:
            OSError: if it cannot be repaired now.
        """
        lease_id = self.lease.lease_id
        if not self._has_lock():
            # What workers hold is the lock of a file that has gone. From now on the parent holds
            # a new one, and the workers that start later.
            self._ledger.remove(lease_id)
            self._make()
            return "its lock was removed"
        try:
            status = os.lstat(self._ledger.file_of(lease_id, CONTENT))
        except FileNotFoundError:
            self._open_content(lease_id)
            return "its content was removed"
        if not os.path.samestat(status, os.fstat(self._fd)):
            os.unlink(self._ledger.file_of(lease_id, CONTENT))
            self._open_content(lease_id)
        elif os.pread(self._fd, MAX_BYTES + 1, 0) != self._written:
            os.truncate(self._fd, 0)
            self._write(self._written)
        else:
            return ""
        return "its content was changed"

    def close(self) -> None:
        """Gives the lease back. All workers must have ended."""
        self._ledger.remove(self.lease.lease_id)
        # The first one may have been opened for the second time.
        for lock in self._locks:
            lock.release()
        self._locks.clear()
        self._close_content()

    def _open_content(self, lease_id: str) -> None:
        fd = self._ledger.create(lease_id)
        self._close_content()
        self._fd = fd
        self._write(self._written or encode(self.lease))
        self._ledger.note_change()

    def _close_content(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _make(self) -> None:
        ledger = self._ledger
        lease = replace(self.lease, lease_id=os.urandom(6).hex())
        new = ledger.file_of(lease.lease_id, NEW)
        lock = FileLock(new)
        try:
            # Before it has its name nobody else looks at it.
            if not lock.acquire(wait=False):
                raise NotImplementedError("each file seems to be locked")
            ledger.open_to_members(new)
            self._open_content(lease.lease_id)
            os.rename(new, ledger.file_of(lease.lease_id, LEASE))
        except BaseException:
            ledger.remove(lease.lease_id)
            lock.release()
            self._close_content()
            if os.path.lexists(new):
                os.unlink(new)
            raise
        self.lease = lease
        if self._locks and self._locks[0].descriptor is not None and lock.descriptor is not None:
            # Workers get the descriptor by its number.
            os.dup2(lock.descriptor, self._locks[0].descriptor, inheritable=False)
        self._locks.append(lock)

    def _has_lock(self) -> bool:
        descriptor = self.descriptor
        if descriptor is None:
            return True
        try:
            status = os.stat(self._ledger.file_of(self.lease.lease_id, LEASE))
        except FileNotFoundError:
            return False
        own = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino)
