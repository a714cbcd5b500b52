"""Writes files and directories that are complete or absent, even if the writer is interrupted.

    staging directory --fsync every file and directory--> rename to its final name --fsync parent-->
                      --or, if they are many, sync the file system once-->

A reader that finds the final name finds all of the content. A crash leaves at most a staging
directory.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator

from localtune.error import StorageError
from localtune.utils.file_systems import sync_file_system

# Prefix of files and directories that are not, or no longer, part of the data.
STAGING_PREFIX = ".staging_"

# From so many files and directories on, a directory is synced with its file system.
MANY_FILES = 64

_IS_WINDOWS = os.name == "nt"
_BINARY = getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _CLOSE_ON_EXEC
# No signal interrupts a write of so few bytes to a file.
_ONE_WRITE_BYTES = 4096


def current_directory() -> str | None:
    """Returns the path of the working directory; None if it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def no_link(path: str, flags: int) -> int:
    """Opens a file without following a symbolic link.

    It is an ``opener`` for ``open()`` of an experiment's files. The target of a link among them may
    lie in a directory that was never judged.

    Args:
        path: The file.
        flags: Flags of ``os.open``.

    Returns:
        A file descriptor.

    Raises:
        StorageError: if the file is a link. The class is an ``OSError``, too.
    """
    try:
        if _NO_FOLLOW or not os.path.islink(path):
            return os.open(path, flags | _NO_FOLLOW | _CLOSE_ON_EXEC, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
    raise StorageError(
        f"{path!r} is a symbolic link, and files of an experiment are opened without following "
        "links. Replace the link by the file itself."
    )


def fsync_path(path: str) -> None:
    """Waits until the content of a file or a directory is on the disk.

    Args:
        path: Existing file or directory. Does nothing for a directory on Windows, which cannot sync
            directories.
    """
    is_directory = os.path.isdir(path)
    if _IS_WINDOWS and is_directory:
        return
    # Windows syncs only descriptors that are open for writing.
    descriptor = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(path: str) -> None:
    """Waits until a directory and everything below it are on the disk.

    Args:
        path: Existing directory. Symbolic links are skipped.
    """
    first = list(itertools.islice(_entries_of(path), MANY_FILES))
    # One sync of the file system takes as long as those of few files, unless other programs have
    # written much. The sync of a file is a transaction of its own.
    if len(first) == MANY_FILES and sync_file_system(path):
        return
    for entry in _entries_of(path):
        fsync_path(entry)


def _entries_of(path: str) -> Iterator[str]:
    """Yields the files of a directory, then the directory, each one after what is below it."""
    for directory, _, names in os.walk(path, topdown=False):
        for name in names:
            file = os.path.join(directory, name)
            if os.path.isfile(file) and not os.path.islink(file):
                yield file
        yield directory


def file_sizes(directory: str) -> dict[str, int]:
    """Returns {path relative to the directory: size in bytes} of all files below a directory."""
    sizes = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                sizes[os.path.relpath(path, directory)] = os.path.getsize(path)
    return sizes


def make_staging_directory(final: str) -> str:
    """Makes the empty directory that a later :func:`commit_directory` renames to ``final``.

    It lies beside ``final``, so that the rename stays within one file system. A staging directory
    that an interrupted writer of the same ``final`` has left is removed first.

    Args:
        final: Path that the directory will have after the commit.

    Returns:
        Path of the empty directory.

    Raises:
        FileNotFoundError: if the parent of ``final`` does not exist.
    """
    parent, name = os.path.split(final)
    staging = os.path.join(parent, STAGING_PREFIX + name)
    remove_tree(staging)
    os.mkdir(staging)
    return staging


def commit_directory(staging: str, final: str, *, sync: bool = True) -> None:
    """Renames a finished staging directory to its final path in one step.

    Args:
        staging: Directory with the content, on the same file system as ``final``.
        final: The final path.
        sync: Whether to wait until the content and the rename are on the disk.

    Raises:
        FileExistsError: if ``final`` exists already; it is not changed then.
    """
    if sync:
        fsync_tree(staging)
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final)
    try:
        os.rename(staging, final)
    except OSError as error:
        # Another process was faster: no system renames onto a file or a non-empty directory.
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final) from error
        raise
    if sync:
        fsync_path(os.path.dirname(final) or ".")


def write_file(
    path: str, content: bytes | Iterable[bytes], *, sync: bool = True, mode: int | None = None
) -> None:
    """Writes a file so that a reader sees the old or the new content, never a part.

    A link at ``path`` is replaced, not followed.

    Args:
        path: File to create or replace; its directory must exist.
        content: All of the content, or its pieces.
        sync: Whether to wait until the content and the rename are on the disk.
        mode: Permissions of the file; None takes those of a new file.
    """
    parent, name = os.path.split(path)
    # The name is unique, since other threads and processes may write the same file. O_EXCL
    # refuses an existing file or link.
    staging = os.path.join(parent, f"{STAGING_PREFIX}{os.getpid()}_{os.urandom(4).hex()}_{name}")
    descriptor = os.open(staging, _NEW_FILE, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            if mode is not None:
                os.chmod(staging, mode)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(staging, path)
    except BaseException:
        if os.path.exists(staging):
            os.remove(staging)
        raise
    if sync:
        fsync_path(parent or ".")


def create_small_file(path: str, content: bytes) -> bool:
    """Creates a file with one write, where :func:`write_file` needs a second name and a rename.

    A reader sees no file, an empty one, or all of the content. The death of the process leaves one
    of these.

    Args:
        path: Path of the file; its directory must exist.
        content: All of the content.

    Returns:
        Whether the file was created. False, and nothing is done, if there is something at the path
        or if the content is too large for that.

    Raises:
        OSError: if the file cannot be written; there is none then.
    """
    if len(content) > _ONE_WRITE_BYTES:
        return False
    try:
        descriptor = os.open(path, _NEW_FILE, 0o666)
    except FileExistsError:
        return False
    try:
        if os.write(descriptor, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    except BaseException:
        os.remove(path)
        raise
    finally:
        os.close(descriptor)
    return True


def set_aside(path: str) -> str:
    """Renames a file, a directory or a link to a free name beside it.

    Args:
        path: Path of the file, directory or link.

    Returns:
        The new path: the old one with ``.aside`` at its end, and a number if that name is taken.

    Raises:
        OSError: if it cannot be renamed.
    """
    number = 1
    while True:
        target = f"{path}.aside" if number == 1 else f"{path}.aside_{number}"
        number += 1
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                commit_directory(path, target, sync=False)
            else:
                # The empty file reserves the name.
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                try:
                    os.replace(path, target)
                except BaseException:
                    os.remove(target)
                    raise
            return target
        except FileExistsError:
            continue


def remove_tree(path: str) -> None:
    """Removes a directory and everything in it; does nothing if it does not exist."""
    if not os.path.lexists(path):
        return
    import shutil

    shutil.rmtree(path)
