"""The ledger of a machine: a directory with the leases of the sweeps that share it.

::

    ~/.cache/localtune/ledger/      or the directory of a group, which may serve several hosts
      HOST.lock                     locked while a sweep takes something
      HOST.ID.lease                 locked by the parent of a sweep, and by each of its workers
      HOST.ID.json                  what the sweep holds and waits for

      make lease:   lock ID.new -> write ID.json -> rename ID.new to ID.lease
      take:         lock HOST.lock -> read the leases that are locked -> write ID.json -> unlock
      give back:    write ID.json
      the processes of a sweep end in any way: ID.lease is unlocked -> the next one that takes
                    something removes both files

The system releases a lock when the last process that holds it ends. So what a killed sweep had is
free as soon as its processes have gone, and a lease that is locked belongs to a living process.

Members of a group could write what they like. So files are read as plain JSON of a limited size,
through no link, and only if who made the lease has written them. Nothing of them is executed,
unpickled, or used to signal a process. A lease that is locked and cannot be read may hold anything.
So nobody takes anything until its owner, who looks after it every few seconds, has written it anew.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from localtune.error import LedgerError, UntrustedDirectoryError
from localtune.execution.shared.host import host_key, is_of_earlier_boot
from localtune.execution.shared.leases import MAX_BYTES, Lease, LeaseError, decode
from localtune.utils.file_lock import HAS_FLOCK, FileLock, is_locked
from localtune.utils.trust import GuardedDirectory, check_group_directory

OWN_LEDGER = "~/.cache/localtune/ledger"
LEASE, CONTENT, NEW = ".lease", ".json", ".new"

# More files are no ledger.
_MAX_FILES = 5000
# How often content is read that makes no sense.
_READS = 3
# Files that their makers have not finished after this time are left over.
_LONGEST_MAKING_S = 3600.0
# A pipe in the place of a file must not block.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A lease that is locked, as it was found.

    Attributes:
        path: Its file.
        uid: The user who made it; -1 where files have no owners.
        lease: Its content; None if it cannot be read.
        problem: Why it cannot be read, as a clause.
    """

    path: str
    uid: int
    lease: Lease | None
    problem: str = ""


class Ledger:
    """The ledger of this machine in a directory.

    Args:
        directory: A directory that all members of a group may write; None is the user's own, which
            is made if it does not exist.
        reads_only: Whether it is only looked at: a directory that this user may not write will do.

    Raises:
        LedgerError: if the directory cannot be used.

    Attributes:
        path: Absolute path of the directory.
    """

    def __init__(self, directory: str | None = None, *, reads_only: bool = False) -> None:
        if not HAS_FLOCK:
            raise LedgerError(
                "A shared machine needs locks that processes inherit (flock), which this system "
                "does not have. Leave out shared=, and divide the machine with num_cpus=."
            )
        self.is_own = directory is None
        self.path = os.path.abspath(os.path.expanduser(directory or OWN_LEDGER))
        self._prefix = f"{host_key()}."
        self._mode, self._gid = self._judge(os.R_OK | os.X_OK | (0 if reads_only else os.W_OK))
        self._lock = FileLock(self._place("lock"), creates=False)

    def _judge(self, rights: int) -> tuple[int, int]:
        """Judges the directory; returns the mode and the group of files in it."""
        remedy = "Make it anew, or name another directory: ProcessExecutor(shared='/srv/ledger')."
        try:
            if self.is_own:
                os.makedirs(self.path, mode=0o700, exist_ok=True)
                GuardedDirectory(self.path).close()
            else:
                remedy = (
                    "Let an administrator make it: "
                    f"install -d -m 3770 -g GROUP {self.path}, for the group that shares it."
                )
                check_group_directory(self.path)
            status = os.stat(self.path)
        except UntrustedDirectoryError as error:
            raise self._refused(error.reason, remedy) from error
        except OSError as error:
            raise self._refused(f"it cannot be used ({error.strerror})", remedy) from error
        if not os.access(self.path, rights):
            verb = "write into it" if rights & os.W_OK else "read it"
            raise self._refused(f"this user may not {verb}", remedy)
        return status.st_mode & 0o666, status.st_gid

    def _refused(self, reason: str, remedy: str) -> LedgerError:
        return LedgerError(f"The ledger {self.path!r} is not used: {reason}. {remedy}")

    def _place(self, name: str) -> str:
        return os.path.join(self.path, self._prefix + name)

    # -- files ------------------------------------------------------------------------------------

    def file_of(self, lease_id: str, suffix: str) -> str:
        """Returns the path of a file of a lease.

        Args:
            lease_id: The lease.
            suffix: ``LEASE``, ``CONTENT`` or ``NEW``.
        """
        return self._place(lease_id + suffix)

    def open_to_members(self, file: int | str) -> None:
        """Gives a new file to the group of the directory.

        Args:
            file: Its path or its descriptor.
        """
        if os.stat(file).st_gid != self._gid:
            # A directory without the bit setgid gives files to the first group of their maker.
            with contextlib.suppress(OSError):
                os.chown(file, -1, self._gid)
        os.chmod(file, self._mode)

    def create(self, lease_id: str) -> int:
        """Makes the file for the content of a lease; returns a descriptor for writing.

        Raises:
            OSError: if it cannot be made.
        """
        path = self.file_of(lease_id, CONTENT)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self.open_to_members(fd)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def note_change(self) -> None:
        """Lets :meth:`changed_at` change, for the sweeps that wait."""
        # They look from time to time anyway.
        with contextlib.suppress(OSError):
            os.utime(self._place("lock"))

    def changed_at(self) -> int:
        """Returns a number that changes with each change of a lease, other than its end."""
        return os.stat(self._place("lock")).st_mtime_ns

    # -- the lock ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Locks the ledger in the ``with`` block, unless another process has locked it.

        Yields:
            Whether it is locked.

        Raises:
            LedgerError: if the file system has no locks.
            OSError: if the lock cannot be used.
        """
        try:
            is_locked = self._acquire()
        except NotImplementedError as error:
            raise self._refused(
                f"its file system has no locks ({error})",
                "Name a directory on a local disk: ProcessExecutor(shared='/var/tmp/ledger').",
            ) from error
        try:
            yield is_locked
        finally:
            self._lock.release()

    def _acquire(self) -> bool:
        try:
            return self._lock.acquire(wait=False)
        except FileNotFoundError:
            self._make_lock()
            return self._lock.acquire(wait=False)

    def _make_lock(self) -> None:
        # It is ready for all members before it has its name.
        part = self._place(f"{os.urandom(6).hex()}{NEW}")
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            self.open_to_members(part)
            with contextlib.suppress(FileExistsError):
                os.link(part, self._place("lock"))
        finally:
            os.unlink(part)

    # -- leases -----------------------------------------------------------------------------------

    def entries(self, *, without: str = "", removes: bool = False) -> list[Entry]:
        """Reads the leases that are locked.

        While the ledger is locked, nobody takes anything.

        Args:
            without: Id of a lease that is not wanted.
            removes: Whether to remove what ended sweeps have left.

        Raises:
            LedgerError: if there are too many files.
            OSError: if the directory cannot be read.
        """
        found = []
        for name in self._names():
            if not (name.startswith(self._prefix) and name.endswith(LEASE)):
                continue
            lease_id = name[len(self._prefix) : -len(LEASE)]
            if lease_id == without:
                continue
            entry = self._entry(lease_id)
            if entry is not None:
                found.append(entry)
            elif removes:
                self.remove(lease_id)
        return found

    def _names(self) -> list[str]:
        names = os.listdir(self.path)
        if len(names) > _MAX_FILES:
            raise self._refused(
                f"it has more than {_MAX_FILES} files", "Remove those that are not of a ledger."
            )
        return sorted(names)

    def _entry(self, lease_id: str) -> Entry | None:
        """Returns a lease; None if its sweep has ended."""
        path = self.file_of(lease_id, LEASE)
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or not is_locked(path):
                return None
            uid = status.st_uid
        except FileNotFoundError:
            return None
        except OSError as error:
            return Entry(path, -1, None, f"its lock cannot be read ({error.strerror})")
        path = self.file_of(lease_id, CONTENT)
        problem = ""
        for _ in range(_READS):
            try:
                return Entry(path, uid, decode(lease_id, _content_of(path, uid)))
            except LeaseError as error:
                problem = str(error)  # It may be written at this moment.
            except OSError as error:
                if not os.path.lexists(self.file_of(lease_id, LEASE)):
                    return None  # It was given back just now.
                problem = f"it cannot be read ({error.strerror})"
                break
        return Entry(path, uid, None, problem)

    def remove(self, lease_id: str) -> None:
        """Removes the files of a lease; those of others stay where only they may remove them."""
        for suffix in (LEASE, CONTENT):
            with contextlib.suppress(OSError):
                os.unlink(self.file_of(lease_id, suffix))

    def remove_leftovers(self) -> None:
        """Removes what sweeps have left that were killed while they began, or by a reboot."""
        for name in self._names():
            path = os.path.join(self.path, name)
            is_earlier = is_of_earlier_boot(name)
            is_part = name.startswith(self._prefix) and name.endswith((NEW, CONTENT))
            with contextlib.suppress(OSError, NotImplementedError):
                is_left = is_earlier or (is_part and self._is_left_over(name, path))
                if is_left and not is_locked(path):
                    os.unlink(path)

    def _is_left_over(self, name: str, path: str) -> bool:
        lease = os.path.splitext(path)[0] + LEASE
        is_old = time.time() - os.lstat(path).st_mtime > _LONGEST_MAKING_S
        return is_old and (name.endswith(NEW) or not os.path.lexists(lease))


def _content_of(path: str, uid: int) -> bytes:
    """Reads the content of a lease.

    Args:
        path: The file.
        uid: The user who may have written it.

    Raises:
        LeaseError: if somebody else has, or it is no regular file.
        OSError: if it cannot be read.
    """
    fd = os.open(path, _READ)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise LeaseError("it is no regular file")
        if status.st_uid != uid:
            raise LeaseError("another user than that of the lease has written it")
        return os.read(fd, MAX_BYTES + 1)
    finally:
        os.close(fd)
