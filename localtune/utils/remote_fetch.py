"""Brings checkpoints of a store to this machine, each once, whole or not at all.

    working copy of an experiment            its store
      .localtune_remote    ----------------> bucket/sweeps/run
      train_00000/                             train_00000/
        checkpoint_000003  <--fetch_missing--    checkpoint_000003/  + marker, written last

A checkpoint that is no part of a working copy goes to a cache in the temporary directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from localtune.error import StorageError, UntrustedDirectoryError
from localtune.result import CHECKPOINT_DIR_FORMAT
from localtune.utils.claims import claimed, user_temp_dir
from localtune.utils.files import (
    commit_directory,
    make_staging_directory,
    remove_tree,
)
from localtune.utils.remote_store import RemoteFile, RemoteStore
from localtune.utils.trust import GuardedDirectory

# Names that belong to the exchange with the store, not to the user.
OWN_PREFIX = ".localtune_"
# Says what a checkpoint in a store consists of; what was uploaded by halves has none.
COMPLETE_MARKER = f"{OWN_PREFIX}complete"
# Says where the store of a working copy is; holds the user's credentials if the file system
# object does, so it is for the user's eyes only and is never uploaded.
_STORE_FILE = f"{OWN_PREFIX}remote"

_TRIES = 4
_FIRST_PAUSE_S = 0.25

T = TypeVar("T")


def remember_store(directory: str, store: RemoteStore) -> None:
    """Lets processes on this machine find the store of an experiment's working copy.

    Raises:
        UntrustedDirectoryError: if somebody else could have written into the directory.
        OSError: if it cannot be written.
    """
    from localtune.utils.serialization import dumps

    content = dumps((store.root, store.filesystem), "storage_filesystem")
    with GuardedDirectory(directory) as guarded:
        guarded.write(_STORE_FILE, content, mode=0o600, sync=False)


def store_of(path: str) -> RemoteStore | None:
    """The place in a store that a place in a working copy stands for, None if there is none.

    Args:
        path: The working copy, a directory of a trial, or one of a checkpoint; need not exist.

    Raises:
        UntrustedDirectoryError: if somebody else could have said where the store is.
    """
    inner: list[str] = []
    directory = os.path.abspath(path)
    for _ in range(3):
        # Nothing is asked of directories that say nothing: only a part of them is an experiment's.
        if not os.path.lexists(os.path.join(directory, _STORE_FILE)):
            directory, name = os.path.split(directory)
            inner.insert(0, name)
            continue
        with GuardedDirectory(directory) as guarded:
            root, filesystem = guarded.load(_STORE_FILE)
        store = RemoteStore(filesystem, root)
        return store.child("/".join(inner)) if inner else store
    return None


def is_remote_checkpoint(path: str) -> bool:
    """Whether the checkpoint that is missing at a local path may be fetched from a store."""
    try:
        return _is_checkpoint(path) and store_of(path) is not None
    except UntrustedDirectoryError:
        return False  # Whoever fetches it is told why not.


def fetch_missing(path: str) -> bool:
    """Fetches a checkpoint of a working copy to its own place, if it is not there.

    Args:
        path: Directory of the checkpoint.

    Returns:
        Whether it is there now; False where it belongs to no store.

    Raises:
        FileNotFoundError: if the store does not have it either.
        UntrustedDirectoryError: if somebody else could have said where the store is.
        StorageError: if it cannot be fetched.
    """
    if os.path.isdir(path):
        return True
    store = store_of(path) if _is_checkpoint(path) else None
    if store is None:
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _download_once(store, with_retries(lambda: _whole_files(store), store), path)
    return True


def fetch_cached(store: RemoteStore) -> str:
    """A local copy of a directory in a store; fetched once per machine and content.

    Returns:
        Path of the copy, which others read, too.

    Raises:
        FileNotFoundError: if the store does not have it.
        StorageError: if it cannot be fetched.
    """
    import hashlib
    import json

    files = with_retries(lambda: _whole_files(store), store)
    content = json.dumps([store.uri, sorted((n, f.size, f.stamp) for n, f in files.items())])
    name = hashlib.sha256(content.encode()).hexdigest()[:32]
    path = os.path.join(user_temp_dir("localtune_fetched"), name)
    _download_once(store, files, path)
    return path


def fetch_into(store: RemoteStore, directory: str) -> None:
    """Fetches a directory of a store into a local one; what that holds already stays.

    Raises:
        FileNotFoundError: if the store does not have it.
        StorageError: if it cannot be fetched.
    """
    files = with_retries(lambda: _whole_files(store), store)
    with_retries(lambda: _fetch(store, files, directory), store)


def with_retries(do: Callable[[], T], store: RemoteStore) -> T:
    """Calls ``do`` until it works, a few times, with growing pauses.

    Raises:
        FileNotFoundError: at once, if there is no such file.
        StorageError: if it still fails.
    """
    import time

    pause_s = _FIRST_PAUSE_S
    for left in reversed(range(_TRIES)):
        try:
            return do()
        except FileNotFoundError:
            raise
        except Exception as error:
            if not left:
                raise StorageError(
                    f"The remote storage {store.uri!r} cannot be used: "
                    f"{type(error).__name__}: {error}. Check the network, the credentials and the "
                    "place."
                ) from error
        time.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("unreachable")


def _is_checkpoint(path: str) -> bool:
    return os.path.basename(path).startswith(CHECKPOINT_DIR_FORMAT.partition("{")[0])


def _whole_files(store: RemoteStore) -> dict[str, RemoteFile]:
    """The files of a directory, without the marker, which they are checked against."""
    import json

    files = store.files()
    if not files:
        raise FileNotFoundError(f"There is nothing at {store.uri}")
    if files.pop(COMPLETE_MARKER, None) is None:
        return files  # Nobody of ours put it there: it is what it is.
    marker = store.read(COMPLETE_MARKER)
    sizes = json.loads(marker) if marker is not None else {}
    if sizes != {name: file.size for name, file in files.items()}:
        raise FileNotFoundError(f"What is at {store.uri} is no whole checkpoint (any more)")
    return files


def _download_once(store: RemoteStore, files: dict[str, RemoteFile], path: str) -> None:
    with claimed(path):
        if os.path.isdir(path):
            return
        staging = make_staging_directory(path)
        try:
            with_retries(lambda: _fetch(store, files, staging), store)
            commit_directory(staging, path)
        except BaseException:
            remove_tree(staging)
            raise


def _fetch(store: RemoteStore, files: dict[str, RemoteFile], directory: str) -> None:
    store.fetch(files, directory)
    for name, file in files.items():
        size = os.path.getsize(os.path.join(directory, *name.split("/")))
        if size != file.size:
            raise OSError(f"{name} has {file.size} bytes there, but {size} arrived")
