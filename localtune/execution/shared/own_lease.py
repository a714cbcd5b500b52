"""OwnLease: the lease of this sweep, which its processes keep locked."""

from __future__ import annotations

import os
from dataclasses import replace

from localtune.error import LedgerError
from localtune.execution.shared.leases import Lease, encode
from localtune.execution.shared.ledger import CONTENT, LEASE, NEW, Ledger
from localtune.utils.file_lock import FileLock
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


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
        self._written: tuple[int, int, int] | None = None
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

        Raises:
            OSError: if it cannot be written; the lease says then what it said.
        """
        lease = replace(lease, lease_id=self.lease.lease_id)
        self._written = _state(self._ledger.write(lease.lease_id, encode(lease)))
        self.lease = lease

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
            self._make()
            return "its lock was removed"
        try:
            status = os.lstat(self._ledger.file_of(lease_id, CONTENT))
        except FileNotFoundError:
            status = None
        if status is not None and _state(status) == self._written:
            return ""
        self.write(self.lease)
        return "its content was changed" if status is not None else "its content was removed"

    def close(self) -> None:
        """Gives the lease back. All workers must have ended."""
        self._ledger.remove(self.lease.lease_id)
        # The first one may have been opened for the second time.
        for lock in self._locks:
            lock.release()
        self._locks.clear()

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
            written = _state(ledger.write(lease.lease_id, encode(lease)))
            os.rename(new, ledger.file_of(lease.lease_id, LEASE))
        except BaseException:
            ledger.remove(lease.lease_id)
            lock.release()
            if os.path.lexists(new):
                os.unlink(new)
            raise
        self.lease, self._written = lease, written
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


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
