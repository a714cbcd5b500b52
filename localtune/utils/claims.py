"""Claims: one process at a time makes, replaces or removes a directory that several share.

::

      working copies of stores        attach: look, set aside, download
      fetched checkpoints             download into a staging directory, rename
      copies of checkpoints           copy, unless there is a whole one
      leftovers in working copies     remove, unless somebody is just filling them

The system lets go of a claim when its process dies, however it dies: what can be claimed and is
there by halves belongs to nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator

from localtune.utils.trust import GuardedDirectory

# What belongs to the user's machine, and not to one program or experiment.
CACHE_DIR = "~/.cache/localtune"


@contextlib.contextmanager
def claimed(target: str, *, wait: bool = True) -> Iterator[bool]:
    """Claims a directory, which need not exist; not to be claimed twice by one thread.

    Args:
        target: The directory.
        wait: Whether to wait until it is free.

    Yields:
        Whether it is claimed, which is certain after waiting. Where the file system has no locks
        it always is.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file(target), timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except NotImplementedError:
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def lock_file(target: str) -> str:
    """Path of the lock for a directory; apart from it, so that the directory holds nothing else."""
    path = os.path.realpath(target)
    cache = os.path.realpath(os.path.expanduser(CACHE_DIR))
    if path.startswith(cache + os.sep):
        # Jobs of one user may have temporary directories of their own, and share this one.
        directory = os.path.join(cache, "locks")
        os.makedirs(directory, mode=0o700, exist_ok=True)
    else:
        directory = user_temp_dir("localtune_locks")
    return os.path.join(directory, f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.lock")


def user_temp_dir(name: str) -> str:
    """A temporary directory that only this user can write, shared by the user's processes.

    Raises:
        UntrustedDirectoryError: if another user made it, or may write into it.
    """
    import tempfile

    user_id = os.geteuid() if hasattr(os, "geteuid") else 0
    directory = os.path.join(tempfile.gettempdir(), f"{name}_{user_id}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    # Not the parent: a container may have a temporary directory that all may write into.
    GuardedDirectory(directory, parents=False).close()
    return directory
