"""Judges the directory of an experiment before the first read or write in it.

An experiment contains pickles, and loading a pickle runs code. A user who could write into the
directory, or put another one in its place, could run code in the process that reads it.

::

    storage path       only its owner and root may rename its entries: it is not writable for
      |                others, or it is sticky, as /tmp is
      v
    experiment         belongs to this user, and no other user may write into it, sticky or not
      |
      |  opened, judged by the descriptor, and held: later opens are relative to it
      v
    file               no link; belongs to this user or to root; no other user may write into it

Other users can then neither make, replace nor rename entries of the directory. The judgement also
stays valid for libraries that open files by their paths, as SQLite does. Where a system has no
directory descriptors, each open is checked before and after, by the identity of the file.

Windows has access rights of another kind. There only links are refused.
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
# O_NONBLOCK: opening a pipe in the place of a file must not block.
_OPEN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class GuardedDirectory:
    """Represents a directory that belongs to this user alone, and holds it open.

    Use it as a context manager, or close it.

    Args:
        path: The directory; must exist. A link to it must belong to this user or to root.
        trust: Whether to accept a directory that other users could have written. Links in the place
            of its files are followed then.
        parents: Whether to judge the directories around it, too: a user who may write there could
            put another directory in its place.
        hold: Whether to hold a descriptor of it; needs a system that supports this.

    Attributes:
        path: The argument ``path``.

    Raises:
        UntrustedDirectoryError: if another user could have written into the directory, or could put
            another one in its place.
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
        """Closes the descriptor; a second call does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, name: str) -> bytes:
        """Returns the content of a file in the directory.

        Args:
            name: Name of the file, without a path.

        Raises:
            FileNotFoundError: if the file does not exist.
            UntrustedDirectoryError: if it is a link, or another user could have written it.
            StorageError: if it is no regular file.
        """
        with open(self._open(name, os.O_RDONLY), "rb") as file:
            return file.read()

    def load(self, name: str) -> Any:
        """Returns the object of a pickle in the directory.

        Raises:
            FileNotFoundError: if the file does not exist.
            UntrustedDirectoryError: as :meth:`read`.
            Exception: any error of a damaged pickle, or of the code that it runs.
        """
        return pickle.loads(self.read(name))

    def write(self, name: str, content: bytes, *, mode: int = 0o666, sync: bool = True) -> None:
        """Writes a file so that a reader sees the old or the new content, never a part.

        A link of that name is replaced; its target is not changed.

        Args:
            name: Name of the file, without a path.
            content: All of the content.
            mode: Access rights of a new file, before the umask.
            sync: Whether to wait until the content and the name are on the disk.

        Raises:
            UntrustedDirectoryError: if another directory has taken the place of this one.
            OSError: if the file cannot be written; the old content stays then.
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
        """Refuses untrusted files that a library opens by their paths.

        Call it before and after the library opens them.

        Args:
            names: Names of files in the directory; they need not exist.

        Raises:
            UntrustedDirectoryError: if a file is a link, or another user could have written it; or
                if another directory has taken the place of this one.
            StorageError: if a name belongs to no regular file.
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
        """Refuses the directory if its path leads to another one now.

        Raises:
            UntrustedDirectoryError: if it does.
        """
        try:
            status = os.stat(self._real)
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise UntrustedDirectoryError(
                f"{self.path!r} is another directory now than a moment ago: the first one was "
                "moved. Do not move an experiment's directory while it is in use."
            )

    def _place(self, name: str) -> str:
        """Returns the name of a file relative to the descriptor, or its path without one."""
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
    """Refuses an untrusted directory as :class:`GuardedDirectory` does, without holding it open.

    Args:
        path: Directory of an experiment or of a trial. A missing directory is accepted: the code
            that opens it reports the error.
        trust: Whether to accept any directory.

    Raises:
        UntrustedDirectoryError: if another user could have written into it.
    """
    if trust:
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        GuardedDirectory(path).close()


def check_group_directory(path: str) -> None:
    """Refuses a directory of a group into which, or around which, any user may write.

    What its members write there must be judged as text of strangers.

    Args:
        path: The directory; must exist.

    Raises:
        UntrustedDirectoryError: if a user outside of the group could put another directory in its
            place, or remove its files; the ``reason`` says why.
        OSError: if it cannot be read.
    """
    _judge_links(path)
    real = os.path.realpath(path)
    status = os.stat(real)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if _HAS_OWNERS and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise _refused(path, "every user may remove the files of others in it", "")
    _judge_parents(path, real)


def load_own(path: str, *, trust: bool = False) -> Any:
    """Loads a pickle whose path the caller chose; only the owner and the rights of the file count.

    Args:
        path: The file. A link is followed.
        trust: Whether to load a file that other users could have written.

    Raises:
        UntrustedDirectoryError: if another user than this one or root could have written it.
        OSError: if it cannot be read.
        Exception: any error of a damaged pickle, or of the code that it runs.
    """
    directory, name = os.path.split(path)
    with open(path, "rb") as file:
        if not trust:
            _judge_file(directory, name, os.fstat(file.fileno()))
        return pickle.loads(file.read())


# -- judgement ------------------------------------------------------------------------------------


def _judge_links(path: str) -> None:
    """Refuses a path if one of its last two parts is a link that another user made."""
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
                "Remove the link, or use the path of its target.",
            )


def _judge_directory(path: str, real: str, status: os.stat_result) -> None:
    if not _HAS_OWNERS:
        return
    if _owner_of(status) != os.geteuid():
        reason = f"it belongs to {_user_name(_owner_of(status))}, not to {_user_name(os.geteuid())}"
        raise _refused(path, reason, "To run something, choose another name or storage_path.")
    reason = _other_writers(status, real)
    if reason:
        raise _refused(path, reason, f"Or make the directory yours alone: chmod go-w {path!r}.")


def _judge_parents(path: str, real: str) -> None:
    """Refuses a directory if another user could put another one in its place."""
    if not _HAS_OWNERS:
        return
    for parent in dict.fromkeys((os.path.dirname(os.path.abspath(path)), os.path.dirname(real))):
        status = os.stat(parent)
        if not _is_own_or_root(status):
            reason = f"it belongs to {_user_name(_owner_of(status))}"
        elif status.st_mode & stat.S_ISVTX:
            continue  # Only the owner of an entry may rename it.
        else:
            reason = _other_writers(status, parent)
        if reason:
            raise _refused(
                path,
                f"another user could put another directory in its place, since {parent!r} is open "
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
    reason = _other_writers(status, path)
    # Other users cannot reach the files of a closed directory, even with rights to the files.
    if reason and not _is_closed(directory):
        raise _file_refused(directory, name, reason)


def _judge_kind(directory: str, name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise StorageError(
            f"{os.path.join(directory, name)!r} is {kind}, but localtune keeps a regular file of "
            "that name in an experiment. Give it another name. Then put back a copy of the "
            "experiment's own file, or start a new experiment under another name."
        )


def _is_own_or_root(status: os.stat_result) -> bool:
    return _owner_of(status) in (os.geteuid(), _ROOT)


def _owner_of(status: os.stat_result) -> int:
    return status.st_uid


def _is_closed(directory: str) -> bool:
    return not os.stat(directory or ".").st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def _other_writers(status: os.stat_result, path: str) -> str:
    """Returns a clause that names the other users who may write; "" if only the owner may."""
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
    """Tells whether the file has an access control list; the group's bits are its mask then."""
    if not hasattr(os, "listxattr"):
        return False
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        return False


def _is_private_group(gid: int) -> bool:
    """Tells whether a group belongs to one user alone.

    Many systems make such a group for each user, with the user's name. A group without listed
    members may still be the primary group of several users.
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
    error = UntrustedDirectoryError(
        f"The directory {path!r} is not used: {reason}. An experiment contains pickles, and their "
        "author can run any code in this process. If you know where they come from, read it "
        f"with trust=True (--trust). {remedy}"
    )
    error.reason = reason
    return error


def _file_refused(directory: str, name: str, reason: str) -> UntrustedDirectoryError:
    return UntrustedDirectoryError(
        f"The file {os.path.join(directory, name)!r} is not used: {reason}. Its author could "
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
