"""Lets one process at a time make, replace or remove a directory that several processes share.

::

      working copies of stores        attach: inspect, set aside, download
      fetched checkpoints             download into a staging directory, rename
      copies of checkpoints           copy, unless a complete copy exists
      leftovers in working copies     remove, unless another process is filling them

The system releases a claim when its process ends in any way. So an incomplete directory that can
be claimed has no owner any more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from localtune.utils.file_lock import FileLock
from localtune.utils.trust import GuardedDirectory

# Directory for files that all programs and experiments of one user share.
CACHE_DIR = "~/.cache/localtune"


@contextlib.contextmanager
def claimed(target: str, *, wait: bool = True) -> Iterator[bool]:
    """Claims a directory, which need not exist, inside the ``with`` block.

    A thread must not claim the same directory twice.

    Args:
        target: The directory.
        wait: Whether to wait until the directory is free.

    Yields:
        Whether the directory is claimed. Always True after waiting, and where the file system has
        no locks.
    """
    lock = FileLock(lock_file(target))
    try:
        is_claimed = lock.acquire(wait=wait)
    except NotImplementedError:
        is_claimed = True
    try:
        yield is_claimed
    finally:
        lock.release()


def lock_file(target: str) -> str:
    """Returns the path of the lock for a directory.

    The lock lies outside the directory, so that the directory holds nothing but its own files.
    """
    from localtune.utils.digests import sha256

    path = os.path.realpath(target)
    cache = os.path.realpath(os.path.expanduser(CACHE_DIR))
    if path.startswith(cache + os.sep):
        # Jobs of one user may have separate temporary directories, but share this one.
        directory = os.path.join(cache, "locks")
        os.makedirs(directory, mode=0o700, exist_ok=True)
    else:
        directory = user_temp_dir("localtune_locks")
    return os.path.join(directory, f"{sha256(path.encode()).hexdigest()[:32]}.lock")


def user_temp_dir(name: str) -> str:
    """Returns a temporary directory that this user's processes share and no other user can write.

    Raises:
        UntrustedDirectoryError: if another user made the directory, or may write into it.
    """
    import tempfile

    user_id = os.geteuid() if hasattr(os, "geteuid") else 0
    directory = os.path.join(tempfile.gettempdir(), f"{name}_{user_id}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    # parents=False: all users may write into the temporary directory of some containers.
    GuardedDirectory(directory, parents=False).close()
    return directory
