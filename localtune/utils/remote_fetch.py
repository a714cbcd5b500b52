"""Brings checkpoints of a store to this machine: each one once, complete or not at all.

    working copy of an experiment            its store
      .localtune_remote    ----------------> bucket/sweeps/run
      train_00000/                             train_00000/
        checkpoint_000003  <--fetch_missing--    checkpoint_000003/  + marker, written last

A checkpoint outside of a working copy goes to a cache in the temporary directory.
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

# Prefix of names that the exchange with the store uses; users' files have other names.
OWN_PREFIX = ".localtune_"
# Lists the files of a checkpoint in a store; an incomplete upload has no such file.
COMPLETE_MARKER = f"{OWN_PREFIX}complete"
# Holds the place of a working copy's store. It contains the user's credentials if the file system
# object does. So only the user may read it, and it is never uploaded.
_STORE_FILE = f"{OWN_PREFIX}remote"

_TRIES = 4
_FIRST_PAUSE_S = 0.25

T = TypeVar("T")


def remember_store(directory: str, store: RemoteStore) -> None:
    """Records the store of an experiment's working copy for other processes on this machine.

    Args:
        directory: The working copy.
        store: The store.

    Raises:
        UntrustedDirectoryError: if another user could have written into the directory.
        OSError: if the record cannot be written.
    """
    write_store_record(directory, store_record(store))


def store_record(store: RemoteStore) -> bytes:
    """Returns the record of a store, for :func:`write_store_record`.

    Raises:
        TypeError: if the file system object cannot be pickled.
    """
    from localtune.utils.serialization import dumps

    return dumps((store.root, store.filesystem), "storage_filesystem")


def write_store_record(directory: str, record: bytes) -> None:
    """Writes the record of a store, which may come from another machine, into a working copy.

    Args:
        directory: The working copy.
        record: What :func:`store_record` returned.

    Raises:
        UntrustedDirectoryError: if another user could have written into the directory.
        OSError: if the record cannot be written.
    """
    with GuardedDirectory(directory) as guarded:
        guarded.write(_STORE_FILE, record, mode=0o600, sync=False)


def store_of(path: str) -> RemoteStore | None:
    """Returns the place in a store that corresponds to a place in a working copy.

    Args:
        path: The working copy, the directory of a trial, or that of a checkpoint; need not exist.

    Returns:
        The place in the store; None if the path belongs to no working copy of a store.

    Raises:
        UntrustedDirectoryError: if another user could have recorded the store.
    """
    inner: list[str] = []
    directory = os.path.abspath(path)
    for _ in range(3):
        # Directories without the file are not judged: most of them are no experiment's.
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
    """Tells whether a checkpoint that is missing at a local path may be fetched from a store."""
    try:
        return _is_checkpoint(path) and store_of(path) is not None
    except UntrustedDirectoryError:
        return False  # fetch_missing() raises the error.


def fetch_missing(path: str) -> bool:
    """Fetches a checkpoint of a working copy from its store unless it is there already.

    Args:
        path: Local directory of the checkpoint.

    Returns:
        Whether the directory exists now; False if it belongs to no store.

    Raises:
        FileNotFoundError: if the store does not have it either.
        UntrustedDirectoryError: if another user could have recorded the store.
        StorageError: if it cannot be fetched.
    """
    if os.path.isdir(path):
        return True
    store = store_of(path) if _is_checkpoint(path) else None
    if store is None:
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _download_once(store, with_retries(lambda: _complete_files(store), store), path)
    return True


def fetch_cached(store: RemoteStore) -> str:
    """Returns a local copy of a directory in a store, fetched once per machine and content.

    Returns:
        Path of the copy, which other processes read, too.

    Raises:
        FileNotFoundError: if the store does not have the directory.
        StorageError: if it cannot be fetched.
    """
    import json

    from localtune.utils.digests import sha256

    files = with_retries(lambda: _complete_files(store), store)
    content = json.dumps([store.uri, sorted((n, f.size, f.stamp) for n, f in files.items())])
    name = sha256(content.encode()).hexdigest()[:32]
    path = os.path.join(user_temp_dir("localtune_fetched"), name)
    _download_once(store, files, path)
    return path


def with_retries(do: Callable[[], T], store: RemoteStore, *, tries: int = _TRIES) -> T:
    """Calls a function several times, with growing pauses, until it succeeds.

    Args:
        do: The function.
        store: The store that the function uses, for the error message.
        tries: How often it is called at most.

    Returns:
        The result of the function.

    Raises:
        FileNotFoundError: at once, if the function raises it.
        StorageError: if the last call fails.
    """
    import time

    pause_s = _FIRST_PAUSE_S
    for left in reversed(range(tries)):
        try:
            return do()
        except FileNotFoundError:
            raise
        except Exception as error:
            if not left:
                raise StorageError(
                    f"The remote storage {store.uri!r} cannot be used: "
                    f"{type(error).__name__}: {error}. Check the network, the credentials and the "
                    "path."
                ) from error
        time.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("unreachable")


def _is_checkpoint(path: str) -> bool:
    return os.path.basename(path).startswith(CHECKPOINT_DIR_FORMAT.partition("{")[0])


def _complete_files(store: RemoteStore) -> dict[str, RemoteFile]:
    """Returns the files of a complete directory, checked against its marker and without it."""
    import json

    files = store.files()
    if not files:
        raise FileNotFoundError(f"There are no files at {store.uri}")
    if files.pop(COMPLETE_MARKER, None) is None:
        return files  # Other programs upload without a marker.
    marker = store.read(COMPLETE_MARKER)
    sizes = json.loads(marker) if marker is not None else {}
    if sizes != {name: file.size for name, file in files.items()}:
        raise FileNotFoundError(f"The checkpoint at {store.uri} is incomplete")
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
            raise OSError(f"{name} has {file.size} bytes in the store, but {size} bytes arrived")
