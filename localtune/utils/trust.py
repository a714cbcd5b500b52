"""The gate in front of an experiment: whose directory it is, asked before the first read or write.

An experiment holds pickles, and loading a pickle runs code. So whoever could write into the
directory, or put another one in its place, could run code in the process that reads it.

::

    storage path       its owner and root alone may rename what is in it: not writable for others,
      |                or sticky, as /tmp is
      v
    experiment         belongs to this user, and nobody else may write into it, sticky or not
      |
      |  opened, judged by the descriptor, and held: later opens are relative to it
      v
    file               no link; belongs to this user or to root; nobody else may write into it

Others can then neither make, replace nor rename anything in the directory. What has been judged
stays as it was judged, also for libraries that open files by their paths (SQLite does). Where a
system has no directory descriptors, each open is checked before and after, by the file's identity.

Windows keeps rights of another kind: nothing is judged there but links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import stat
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from localtune.error import StorageError, UntrustedDirectoryError
from localtune.utils.files import STAGING_PREFIX, fsync_path

# Whether files can be opened relative to a directory, and without following a link.
CAN_HOLD = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

_HAS_OWNERS = hasattr(os, "geteuid")
_ROOT = 0
_OTHERS_MAY_WRITE = "every user may write into it"
_ACL = "system.posix_acl_access"

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe in the place of a file must not hold up whoever opens it.
_OPEN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class GuardedDirectory:
    """A directory that belongs to this user alone, held open.

    Use it as a context manager, or close it.

    Args:
        path: The directory; must exist. A link to it must be this user's or root's own.
        trust: Take it whoever could have written it; links of its files are followed then.
        parents: Whether the directories around it count, too: others who may write there could put
            another directory in its place.
        hold: Whether to hold a descriptor of it; only where the system can.

    Attributes:
        path: As given.

    Raises:
        UntrustedDirectoryError: if somebody else could have written into it, or could put another
            directory in its place.
        OSError: if it cannot be opened.

    Example:
        >>> import tempfile
        >>> with GuardedDirectory(tempfile.mkdtemp()) as directory:
        ...     directory.write("note", b"mine", sync=False)
        ...     directory.read("note")
        b'mine'
    """

    def __init__(
        self, path: str, *, trust: bool = False, parents: bool = True, hold: bool = CAN_HOLD
    ) -> None:
        self.path = path
        self._trust = trust
        self._fd: int | None = None
        self._identity = (0, 0)
        if not trust:
            _judge_links(path)
        self._real = real = os.path.realpath(path)
        status = os.stat(real)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if not trust:
            _judge_directory(path, real, status)
        if hold:
            self._fd = os.open(real, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)
        try:
            if self._fd is not None:
                status = os.fstat(self._fd)
                if not trust:
                    _judge_directory(path, real, status)
            self._identity = (status.st_dev, status.st_ino)
            if parents and not trust:
                _judge_parents(path, real)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> GuardedDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the directory. Twice is fine."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, name: str) -> bytes:
        """The content of a file in the directory.

        Args:
            name: Its name, without a path.

        Raises:
            FileNotFoundError: if there is none.
            UntrustedDirectoryError: if it is a link, or another user could have written it.
            StorageError: if it is a directory, for instance.
        """
        with open(self._open(name, os.O_RDONLY), "rb") as file:
            return file.read()

    def load(self, name: str) -> Any:
        """What a pickle in the directory holds.

        Raises:
            FileNotFoundError: if there is none.
            UntrustedDirectoryError: as :meth:`read`.
            Exception: whatever a damaged pickle, or the code that it names, raises.
        """
        return pickle.loads(self.read(name))

    def write(self, name: str, content: bytes, *, mode: int = 0o666, sync: bool = True) -> None:
        """Writes a file whole: a reader sees the old content or the new one, never a part.

        A link of that name is replaced, and what it leads to stays as it is.

        Args:
            name: Its name, without a path.
            content: All of the content.
            mode: Rights of a new file, less those that the umask takes.
            sync: Whether to wait until the content, and the name, are on the disk.

        Raises:
            UntrustedDirectoryError: if another directory has taken the place of this one.
            OSError: if it cannot be written; the old content stays then.
        """
        staging = f"{STAGING_PREFIX}{os.getpid()}_{os.urandom(4).hex()}_{name}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _OPEN
        fd = os.open(self._place(staging), flags, mode, dir_fd=self._fd)
        try:
            with open(fd, "wb") as file:
                file.write(content)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            if self._fd is None:
                os.replace(self._place(staging), self._place(name))
            else:
                os.replace(staging, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self._place(staging), dir_fd=self._fd)
            raise
        if sync and self._fd is not None:
            os.fsync(self._fd)
        elif sync:
            fsync_path(self._real)

    def check_files(self, names: Iterable[str]) -> None:
        """Refuses files that a library is about to open by their paths, or has just opened so.

        Args:
            names: Of files in the directory; those that do not exist are fine.

        Raises:
            UntrustedDirectoryError: if one is a link, or another user could have written it; or if
                another directory has taken the place of this one.
            StorageError: if one is a directory, for instance.
        """
        if not self._trust:
            self.check_unmoved()
        for name in names:
            try:
                status = os.stat(self._place(name), dir_fd=self._fd, follow_symlinks=self._trust)
            except FileNotFoundError:
                continue
            if self._trust:
                _judge_kind(self.path, name, status)
            else:
                _judge_file(self.path, name, status)

    def check_unmoved(self) -> None:
        """Refuses to go on if the path leads to another directory by now.

        Raises:
            UntrustedDirectoryError: if it does.
        """
        try:
            status = os.stat(self._real)
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise UntrustedDirectoryError(
                f"{self.path!r} is not the directory any more that it was a moment ago: somebody "
                "has moved it. Leave an experiment's directory alone while it is in use."
            )

    def _place(self, name: str) -> str:
        """What to open a file by: its name, where that is relative to the descriptor."""
        return name if self._fd is not None else os.path.join(self._real, name)

    def _open(self, name: str, flags: int) -> int:
        place = self._place(name)
        if self._trust:
            _judge_kind(self.path, name, os.stat(place, dir_fd=self._fd))
            return os.open(place, flags | _OPEN, dir_fd=self._fd)
        before = os.lstat(place, dir_fd=self._fd)
        _judge_file(self.path, name, before)
        try:
            fd = os.open(place, flags | _NO_FOLLOW | _OPEN, dir_fd=self._fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise _file_refused(self.path, name, "it is a symbolic link") from error
            raise
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != (before.st_dev, before.st_ino):
                raise _file_refused(self.path, name, "it was replaced while it was opened")
            _judge_file(self.path, name, status)
            if self._fd is None:
                self.check_unmoved()
        except BaseException:
            os.close(fd)
            raise
        return fd


def check_trusted(path: str, *, trust: bool = False) -> None:
    """Refuses a directory as :class:`GuardedDirectory` does, and lets go of it at once.

    Args:
        path: Directory of an experiment, or of a trial. Whoever opens it says that it is missing.
        trust: Take it all the same.

    Raises:
        UntrustedDirectoryError: if somebody else could have written into it.
    """
    if trust:
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        GuardedDirectory(path).close()


def load_own(path: str, *, trust: bool = False) -> Any:
    """What a pickle holds that the caller named; only its own owner and rights count.

    Its content is what its owner wrote, wherever it lies.

    Args:
        path: The file. A link is followed.
        trust: Read it whoever could have written it.

    Raises:
        UntrustedDirectoryError: if another user than this one or root could have written it.
        OSError: if it cannot be read.
        Exception: whatever a damaged pickle, or the code that it names, raises.
    """
    directory, name = os.path.split(path)
    with open(path, "rb") as file:
        if not trust:
            _judge_file(directory, name, os.fstat(file.fileno()))
        return pickle.loads(file.read())


# -- judgement ------------------------------------------------------------------------------------


def _judge_links(path: str) -> None:
    """Refuses a path whose last two parts are links that somebody else made."""
    place = os.path.abspath(path)
    for each in (os.path.dirname(place), place):
        try:
            status = os.lstat(each)
        except OSError:
            continue
        if stat.S_ISLNK(status.st_mode) and _HAS_OWNERS and not _is_own_or_root(status):
            raise _refused(
                path,
                f"{each!r} is a symbolic link that {_user_name(_owner_of(status))} made",
                "Remove it, or name the place that it leads to.",
            )


def _judge_directory(path: str, real: str, status: os.stat_result) -> None:
    if not _HAS_OWNERS:
        return
    if _owner_of(status) != os.geteuid():
        reason = f"it belongs to {_user_name(_owner_of(status))}, not to {_user_name(os.geteuid())}"
        raise _refused(path, reason, "To run something, choose another name or storage_path.")
    reason = _who_else_may_write(status, real)
    if reason:
        raise _refused(path, reason, f"Or make the directory yours alone: chmod go-w {path!r}.")


def _judge_parents(path: str, real: str) -> None:
    """Refuses a directory in whose place somebody else could put another one."""
    if not _HAS_OWNERS:
        return
    for parent in dict.fromkeys((os.path.dirname(os.path.abspath(path)), os.path.dirname(real))):
        status = os.stat(parent)
        if not _is_own_or_root(status):
            reason = f"it belongs to {_user_name(_owner_of(status))}"
        elif status.st_mode & stat.S_ISVTX:
            continue  # Only the owner of an entry may rename it.
        else:
            reason = _who_else_may_write(status, parent)
        if reason:
            raise _refused(
                path,
                f"somebody else could put another directory in its place, since {parent!r} is open "
                f"to others: {reason}",
                f"Or choose a storage_path that is yours alone, such as a directory in {parent!r}.",
            )


def _judge_file(directory: str, name: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _file_refused(directory, name, "it is a symbolic link")
    _judge_kind(directory, name, status)
    if not _HAS_OWNERS:
        return
    path = os.path.join(directory, name)
    if not _is_own_or_root(status):
        raise _file_refused(directory, name, f"it belongs to {_user_name(_owner_of(status))}")
    reason = _who_else_may_write(status, path)
    # Nobody else comes as far as the files of a closed directory, whatever their own rights.
    if reason and not _is_closed(directory):
        raise _file_refused(directory, name, reason)


def _judge_kind(directory: str, name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no plain file"
        raise StorageError(
            f"{os.path.join(directory, name)!r} is {kind}, and localtune keeps a file of that name "
            "in an experiment. Give it another name. Put back a copy of the experiment's own file, "
            "or begin anew under another name."
        )


def _is_own_or_root(status: os.stat_result) -> bool:
    return _owner_of(status) in (os.geteuid(), _ROOT)


def _owner_of(status: os.stat_result) -> int:
    return status.st_uid


def _is_closed(directory: str) -> bool:
    return not os.stat(directory or ".").st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def _who_else_may_write(status: os.stat_result, path: str) -> str:
    """Who besides the owner, as a clause; "" for nobody."""
    if status.st_mode & stat.S_IWOTH:
        return _OTHERS_MAY_WRITE
    if not status.st_mode & stat.S_IWGRP:
        return ""
    if _has_acl(path):
        return "its access control list lets others write into it"
    if _is_private_group(status.st_gid):
        return ""
    return f"the group {_group_name(status.st_gid)} may write into it"


def _has_acl(path: str) -> bool:
    """Whether an access control list says who may write; the group's bits are its mask then."""
    if not hasattr(os, "listxattr"):
        return False
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        return False


def _is_private_group(gid: int) -> bool:
    """Whether a group is a user's own, as many systems make one for each user, of the same name.

    A group without members may still be the first one of all users.
    """
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return (
        gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
    )


def _refused(path: str, reason: str, remedy: str) -> UntrustedDirectoryError:
    return UntrustedDirectoryError(
        f"The directory {path!r} is not used: {reason}. An experiment holds pickles, and whoever "
        "wrote them can run any code in this process. If you know where they come from, read it "
        f"with trust=True (--trust). {remedy}"
    )


def _file_refused(directory: str, name: str, reason: str) -> UntrustedDirectoryError:
    return UntrustedDirectoryError(
        f"The file {os.path.join(directory, name)!r} is not used: {reason}. Whoever wrote it could "
        "run any code in this process. If you know where it comes from, put a copy of your own in "
        "its place, or read the experiment with trust=True (--trust)."
    )


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
