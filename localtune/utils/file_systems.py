"""Syncs a whole file system in one call. Linux."""

from __future__ import annotations

import contextlib
import os
import sys

# Types of local file systems, whose sync writes all data to the disk: ext2 to ext4, XFS, Btrfs,
# F2FS, tmpfs, overlays. A sync of a file system over a network may leave data with its server.
LOCAL_TYPES = frozenset({0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994, 0x794C7630})
# Before, a sync did not tell of errors.
_FIRST_KERNEL = (5, 8)
_STATUS_BYTES = 512


def sync_file_system(path: str) -> bool:
    """Waits until all that was written to the file system of a directory is on the disk.

    Args:
        path: An existing directory.

    Returns:
        False if that cannot be done here, or is no promise: nothing has happened then.

    Raises:
        OSError: if data of the file system could not be written.
    """
    if sys.platform != "linux" or _kernel() < _FIRST_KERNEL:
        return False
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        statfs, syncfs = library.fstatfs, library.syncfs
    except (ImportError, OSError, AttributeError):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # It begins with the type, of the size of a machine word.
        status = ctypes.create_string_buffer(_STATUS_BYTES)
        if statfs(descriptor, status) != 0:
            return False
        if ctypes.c_ulong.from_buffer(status).value & 0xFFFFFFFF not in LOCAL_TYPES:
            return False
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)
    return True


def _kernel() -> tuple[int, ...]:
    with contextlib.suppress(ValueError):
        return tuple(int(each) for each in os.uname().release.split(".")[:2])
    return (0,)
