"""Manages the working copy of an experiment with remote storage.

    store                          this machine
      bucket/sweeps/run/             ~/.cache/localtune/experiments/sweeps_1f0c.../run/
        .localtune_sync <-writer?->    .localtune_sync     same: keep the working copy
        experiment.db   -- attach -->  experiment.db       else: download the store's state
        train_00000/...                train_00000/...     (checkpoints are fetched when needed)

The run reads and writes only the working copy; ``ExperimentSync`` uploads it to the store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from localtune.error import StorageError
from localtune.result import (
    EXPERIMENT_DB_FILE,
    STORAGE_MARKER_FILE,
    TUNER_FILE,
)
from localtune.storage.locks import experiment_locked
from localtune.trial.checkpoint_dirs import is_checkpoint_name
from localtune.utils.claims import CACHE_DIR, claimed
from localtune.utils.files import STAGING_PREFIX, no_link, remove_tree, write_file
from localtune.utils.messages import get_logger
from localtune.utils.remote_fetch import OWN_PREFIX, remember_store, with_retries
from localtune.utils.remote_store import (
    RemoteStore,
    checked_filesystem,
    is_local_filesystem,
    is_uri,
    open_store,
)
from localtune.utils.timing import date_str
from localtune.utils.trust import check_trusted

logger = get_logger(__name__)

# Directory of the working copies.
WORKING_COPIES = f"{CACHE_DIR}/experiments"
# Identifies the state, in both places.
SYNC_FILE = f"{OWN_PREFIX}sync"


@dataclass(frozen=True)
class Version:
    """Identifies a state of an experiment.

    Attributes:
        writer: Id of the working copy that made the state; "" for none.
        number: Number that grows with each state.
    """

    writer: str = ""
    number: int = 0


@dataclass(frozen=True)
class SyncRecord:
    """Records the exchange of a working copy with the store.

    Attributes:
        own: The newest state that was, or may have been, uploaded from this working copy.
        base: State of the store that the working copy continues.
        finished: Whether the store has all content of the working copy.
    """

    own: Version = Version()
    base: Version = Version()
    finished: bool = False

    def includes(self, version: Version) -> bool:
        """Tells whether the working copy contains a state of the store."""
        is_own_earlier = version.writer == self.own.writer and version.number <= self.own.number
        return version == self.base or is_own_earlier


def needs_store(path: str | os.PathLike[str] | None, filesystem: Any = None) -> bool:
    """Tells whether a path means remote storage.

    Args:
        path: A path or a URI, or None.
        filesystem: File system object for the path, or None.
    """
    if filesystem is not None:
        return not is_local_filesystem(filesystem)
    return path is not None and is_uri(os.fspath(path))


def working_storage_path(path: str | os.PathLike[str], filesystem: Any = None) -> str:
    """Returns the local directory that corresponds to a storage path in a store.

    Args:
        path: The URI, or the path in ``filesystem``.
        filesystem: A file system object, or None for a URI.
    """
    from localtune.utils.digests import sha256

    text = os.fspath(path).rstrip("/")
    identity = text
    if filesystem is not None:
        # File systems that JSON cannot describe differ only by their paths.
        with contextlib.suppress(TypeError):
            identity = f"{checked_filesystem(filesystem).to_json()} {text}"
    digest = sha256(identity.encode()).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", text.rpartition("/")[2])[:40]
    return os.path.join(os.path.expanduser(WORKING_COPIES), f"{readable}_{digest}")


def attach_path(path: str | os.PathLike[str], filesystem: Any = None) -> str:
    """Returns the working copy of an experiment in a store; see :func:`attach`.

    Args:
        path: URI of the experiment, or its path in ``filesystem``.
        filesystem: A file system object, or None for a URI.

    Returns:
        Directory on this machine; without an experiment in the store, it has no database.

    Raises:
        StorageError: if the store cannot be reached.
        ValueError: if ``path`` names no experiment.
    """
    parent, name = split_path(path)
    directory = os.path.join(working_storage_path(parent, filesystem), name)
    attach(open_store(os.fspath(path), filesystem), directory)
    return directory


def split_path(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Returns the storage path of an experiment, and its name.

    Raises:
        ValueError: if the name is missing.
    """
    parent, _, name = os.fspath(path).rstrip("/").rpartition("/")
    if not name or not parent or parent.endswith(":/"):
        raise ValueError(
            f"{os.fspath(path)!r} names no experiment: it must be <storage path>/<name>."
        )
    return parent, name


def has_experiment(store: RemoteStore) -> bool:
    """Tells whether a store contains an experiment that a Tuner can restore.

    Raises:
        StorageError: if the store cannot be reached.
    """
    return with_retries(lambda: store.read(TUNER_FILE), store) is not None


def attach(store: RemoteStore, directory: str) -> None:
    """Makes a directory the working copy of an experiment in a store, if the store has it.

    Content that only the working copy has stays, since an earlier run could not upload it. If
    another machine has continued the experiment, the store's state replaces the working copy.

    Args:
        store: Directory of the experiment in the store.
        directory: Directory of the experiment on this machine; need not exist. It is not made if
            the store does not have the experiment.

    Raises:
        UntrustedDirectoryError: if others could have written into the directory.
        StorageError: if the store cannot be reached.
        OSError: if the directory cannot be written.
    """
    with claimed(directory):
        check_trusted(directory)
        version = with_retries(lambda: remote_version(store), store)
        record = read_record(directory)
        if version is not None and not record.includes(version):
            _replace(directory, record, store, version)
        elif version is not None and version != record.base:
            write_record(directory, dataclasses.replace(record, base=version))
        if os.path.isdir(directory):
            remember_store(directory, store)


def prove_writable(store: RemoteStore) -> None:
    """Writes a marker into an experiment's directory in a store.

    Raises:
        StorageError: if the marker cannot be written.
    """
    try:
        with_retries(lambda: store.write(STORAGE_MARKER_FILE, b"localtune\n"), store)
    except FileNotFoundError as error:
        raise StorageError(
            f"The remote storage {store.uri!r} cannot be used: {error}. Choose a storage_path in "
            "a place that exists."
        ) from error


def publish_files(store: RemoteStore, directory: str, names: Iterable[str]) -> None:
    """Uploads files of a starting run, so that it can be restored from the store.

    Args:
        store: Directory of the experiment in the store.
        directory: The working copy.
        names: Names of the files.

    Raises:
        StorageError: if they cannot be uploaded.
    """
    for name in names:
        with_retries(functools.partial(store.put_whole, name, os.path.join(directory, name)), store)


def remote_version(store: RemoteStore) -> Version | None:
    """Returns the state that a store contains; None if there is none."""
    content = store.read(SYNC_FILE)
    return None if content is None else Version(**json.loads(content))


def read_record(directory: str) -> SyncRecord:
    """Returns the record of a working copy's exchange with the store."""
    try:
        path = os.path.join(directory, SYNC_FILE)
        with open(path, encoding="utf-8", opener=no_link) as file:
            record = json.load(file)
    except FileNotFoundError:
        return SyncRecord()
    own, base = Version(**record["own"]), Version(**record["base"])
    return SyncRecord(own, base, record["finished"])


def write_record(directory: str, record: SyncRecord) -> None:
    """Writes the record of a working copy's exchange with the store.

    Args:
        directory: The working copy.
        record: The record.
    """
    content = dataclasses.asdict(record)
    write_file(os.path.join(directory, SYNC_FILE), json.dumps(content).encode())


def _replace(directory: str, record: SyncRecord, store: RemoteStore, version: Version) -> None:
    """Replaces the working copy by the state of the store. Other processes may be reading it."""
    _check_unused(directory)
    staging = _download(store, directory, version)
    try:
        _check_unused(directory)
        aside = _set_aside(directory, record)
        os.rename(staging, directory)
    except BaseException:
        remove_tree(staging)
        raise
    if aside:
        remove_tree(aside)


def _check_unused(directory: str) -> None:
    if os.path.isdir(directory):
        with experiment_locked(directory):
            pass  # The lock is free, so no run uses the directory.


def _set_aside(directory: str, record: SyncRecord) -> str:
    """Renames the working copy; returns the new path if its content is not needed, "" otherwise."""
    parent, name = os.path.split(directory)
    unneeded = os.path.join(parent, f"{STAGING_PREFIX}replaced_{name}")
    remove_tree(unneeded)
    if not os.path.isdir(directory):
        return ""
    if record.finished:
        os.rename(directory, unneeded)
        return unneeded
    aside = f"{directory}.replaced_{date_str()}_{os.urandom(2).hex()}"
    os.rename(directory, aside)
    logger.warning(
        "Another machine has continued this experiment. The files that were not uploaded from "
        "here are now in %s.",
        aside,
    )
    return ""


def _download(store: RemoteStore, directory: str, version: Version) -> str:
    """Fetches all files except checkpoints into a directory beside the working copy."""
    parent, name = os.path.split(directory)
    staging = os.path.join(parent, f"{STAGING_PREFIX}{name}")
    remove_tree(staging)
    names = [name for name in with_retries(store.files, store) if not _is_left_out(name)]
    try:
        # Another user who may write into it could run code in the process that reads it.
        os.makedirs(parent, mode=0o755, exist_ok=True)
        os.mkdir(staging, 0o700)
        with_retries(lambda: store.fetch(names, staging), store)
        _make_trial_dirs(staging)
        write_record(staging, SyncRecord(version, version, finished=True))
    except BaseException:
        remove_tree(staging)
        raise
    return staging


def _make_trial_dirs(directory: str) -> None:
    """Makes the directories of trials that have no files in the store."""
    import sqlite3

    path = os.path.join(directory, EXPERIMENT_DB_FILE)
    if not os.path.exists(path):
        return
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT dirname FROM trials WHERE dirname != ''").fetchall()
    finally:
        connection.close()
    for (dirname,) in rows:
        os.makedirs(os.path.join(directory, dirname), exist_ok=True)


def _is_left_out(name: str) -> bool:
    parts = name.split("/")
    if parts[0].startswith(OWN_PREFIX):
        return True
    return len(parts) > 2 and is_checkpoint_name(parts[1])
