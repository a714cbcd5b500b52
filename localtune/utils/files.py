"""Files and directories that are whole or absent, whatever interrupts their writer.

    staging directory --fsync every file and directory--> rename to its final name --fsync parent-->

A reader that sees the final name sees all of it; a crash leaves a staging directory at most.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable

from localtune.error import StorageError

# Prefix of what is not yet, or no longer, a part of the data.
STAGING_PREFIX = ".staging_"

_IS_WINDOWS = os.name == "nt"
_BINARY = getattr(os, "O_BINARY", 0)


def current_directory() -> str | None:
    """Path of the working directory; None if it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def no_link(path: str, flags: int) -> int:
    """Opens a file that is no link: an ``opener`` for ``open()`` of an experiment's files.

    A link among them would lead somewhere that nobody has judged.

    Args:
        path: The file.
        flags: Of ``os.open``.

    Returns:
        A descriptor.

    Raises:
        StorageError: if it is a link; it is an ``OSError``.
    """
    follow = getattr(os, "O_NOFOLLOW", 0)
    try:
        if follow or not os.path.islink(path):
            return os.open(path, flags | follow | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
    raise StorageError(
        f"{path!r} is a symbolic link, and files of an experiment are opened without following "
        "links. Put the file itself there."
    )


def fsync_path(path: str) -> None:
    """Wait until a file's or a directory's content is on the disk.

    Args:
        path: Existing file or directory. Windows cannot sync directories: nothing is done there.
    """
    is_directory = os.path.isdir(path)
    if _IS_WINDOWS and is_directory:
        return
    # Windows syncs only descriptors that may write.
    descriptor = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(path: str) -> None:
    """Wait until a directory with everything below it is on the disk.

    Args:
        path: Existing directory. Symbolic links are left alone.
    """
    for directory, _, names in os.walk(path, topdown=False):
        for name in names:
            file = os.path.join(directory, name)
            if os.path.isfile(file) and not os.path.islink(file):
                fsync_path(file)
        fsync_path(directory)


def file_sizes(directory: str) -> dict[str, int]:
    """Sizes in bytes of all files below a directory, by their paths within it."""
    sizes = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                sizes[os.path.relpath(path, directory)] = os.path.getsize(path)
    return sizes


def make_staging_directory(final: str) -> str:
    """Make the empty directory that a later :func:`commit_directory` turns into ``final``.

    It lies beside ``final``, so that the rename stays within one file system. What an earlier,
    interrupted writer of the same ``final`` left is removed.

    Args:
        final: Path that the directory is to have in the end.

    Returns:
        Path of the empty directory.

    Raises:
        FileNotFoundError: The parent of ``final`` does not exist.
    """
    parent, name = os.path.split(final)
    staging = os.path.join(parent, STAGING_PREFIX + name)
    remove_tree(staging)
    os.mkdir(staging)
    return staging


def commit_directory(staging: str, final: str, *, sync: bool = True) -> None:
    """Turn a finished staging directory into its final place, in one step.

    Args:
        staging: Directory with the content, on the same file system as ``final``.
        final: Path that it gets.
        sync: Whether to wait until the content, and the rename, are on the disk.

    Raises:
        FileExistsError: There is something at ``final`` already; it stays as it is.
    """
    if sync:
        fsync_tree(staging)
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final)
    try:
        os.rename(staging, final)
    except OSError as error:
        # Somebody was quicker: no system renames onto a file or onto a directory with content.
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final) from error
        raise
    if sync:
        fsync_path(os.path.dirname(final) or ".")


def write_file(path: str, content: bytes | Iterable[bytes], *, sync: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part.

    A link at ``path`` is replaced, not followed.

    Args:
        path: File to create or replace; its directory must exist.
        content: All of the content, or the pieces of it.
        sync: Whether to wait until the content, and the rename, are on the disk.
    """
    parent, name = os.path.split(path)
    # A name of its own: other threads and processes may write the same file, and whatever lies
    # under the name already is not written through.
    staging = os.path.join(parent, f"{STAGING_PREFIX}{os.getpid()}_{os.urandom(4).hex()}_{name}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
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


def set_aside(path: str) -> str:
    """Give what is at a path another name, one that is free.

    Args:
        path: A file, a directory or a link.

    Returns:
        Its new path: the old one with ``.aside`` at its end, and a number if that is taken.

    Raises:
        OSError: It cannot be renamed.
    """
    number = 1
    while True:
        target = f"{path}.aside" if number == 1 else f"{path}.aside_{number}"
        number += 1
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                commit_directory(path, target, sync=False)
            else:
                # Nobody else can take the name from now on.
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                try:
                    os.replace(path, target)
                except BaseException:
                    os.remove(target)
                    raise
            return target
        except FileExistsError:
            continue


def copy_tree(
    source: str,
    target: str,
    *,
    ignore: Callable[[str, list[str]], Iterable[str]] | None = None,
) -> None:
    """Copy everything in a directory, hidden files included, into another one.

    Args:
        source: Existing directory. Symbolic links are followed.
        target: Directory to fill; made, with its parents, if missing. What it holds already
            stays, except for files of the same name.
        ignore: Called with each directory and the names in it; returns the names to leave out.

    Raises:
        FileNotFoundError: There is no ``source``.
        NotADirectoryError: ``source`` is a file.
    """
    import shutil

    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)


def remove_tree(path: str) -> None:
    """Remove a directory with everything in it; no error if there is none.

    Args:
        path: Directory to remove.
    """
    if not os.path.lexists(path):
        return
    import shutil

    shutil.rmtree(path)
