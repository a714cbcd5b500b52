"""The working copy of an experiment with remote storage.

    store                          this machine
      bucket/sweeps/run/             ~/.cache/localtune/experiments/sweeps_1f0c.../run/
        .localtune_sync  <-- who -->   .localtune_sync     same: go on with the working copy
        experiment.db   -- attach -->  experiment.db       else: take the store's state anew
        train_00000/...                train_00000/...     (checkpoints come when they are needed)

The run reads and writes the working copy only; ``ExperimentSync`` carries it to the store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import time
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
from localtune.utils.trust import check_trusted

logger = get_logger(__name__)

# Where working copies are.
WORKING_COPIES = f"{CACHE_DIR}/experiments"
# Says, in both places, whose state it is.
SYNC_FILE = f"{OWN_PREFIX}sync"


@dataclass(frozen=True)
class Version:
    """Identifies a state of an experiment.

    Attributes:
        writer: Id of the working copy that it was made in; "" is none.
        number: Grows with each state.
    """

    writer: str = ""
    number: int = 0


@dataclass(frozen=True)
class SyncRecord:
    """What a working copy knows of its exchange with the store.

    Attributes:
        own: The newest state that was, or may have been, uploaded from here.
        base: The state of the store that the working copy goes on from.
        finished: Whether the store has all that the working copy has.
    """

    own: Version = Version()
    base: Version = Version()
    finished: bool = False

    def includes(self, version: Version) -> bool:
        """Whether the working copy has all that the state of a store has."""
        is_own_earlier = version.writer == self.own.writer and version.number <= self.own.number
        return version == self.base or is_own_earlier


def needs_store(path: str | os.PathLike[str] | None, filesystem: Any = None) -> bool:
    """Whether a path, with the file system object that goes with it, means remote storage."""
    if filesystem is not None:
        return not is_local_filesystem(filesystem)
    return path is not None and is_uri(os.fspath(path))


def working_storage_path(path: str | os.PathLike[str], filesystem: Any = None) -> str:
    """Directory of this machine that stands for a storage path in a store.

    Args:
        path: The URI, or the path in ``filesystem``.
        filesystem: A file system object, or None for a URI.
    """
    import hashlib

    text = os.fspath(path).rstrip("/")
    identity = text
    if filesystem is not None:
        # Not all can be told by JSON: those differ by their paths alone.
        with contextlib.suppress(TypeError):
            identity = f"{checked_filesystem(filesystem).to_json()} {text}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", text.rpartition("/")[2])[:40]
    return os.path.join(os.path.expanduser(WORKING_COPIES), f"{readable}_{digest}")


def attach_path(path: str | os.PathLike[str], filesystem: Any = None) -> str:
    """The working copy of an experiment that is named by its place in a store; see :func:`attach`.

    Args:
        path: URI of the experiment, or its path in ``filesystem``.
        filesystem: A file system object, or None for a URI.

    Returns:
        Directory on this machine; without an experiment there, it has no database.

    Raises:
        StorageError: if the store cannot be reached.
        ValueError: if ``path`` names no experiment.
    """
    parent, name = split_path(path)
    directory = os.path.join(working_storage_path(parent, filesystem), name)
    attach(open_store(os.fspath(path), filesystem), directory)
    return directory


def split_path(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The storage path of an experiment, and its name.

    Raises:
        ValueError: if there is no name.
    """
    parent, _, name = os.fspath(path).rstrip("/").rpartition("/")
    if not name or not parent or parent.endswith(":/"):
        raise ValueError(
            f"{os.fspath(path)!r} names no experiment: it must be <storage path>/<name>."
        )
    return parent, name


def has_experiment(store: RemoteStore) -> bool:
    """Whether a store holds an experiment that a Tuner can take up.

    Raises:
        StorageError: if the store cannot be reached.
    """
    return with_retries(lambda: store.read(TUNER_FILE), store) is not None


def attach(store: RemoteStore, directory: str) -> None:
    """Makes a directory the working copy of an experiment in a store, as far as there is one.

    What only the working copy has, since an earlier run could not upload it, stays. If another
    machine has gone on with the experiment, the store's state is taken.

    Args:
        store: Directory of the experiment in the store.
        directory: Directory of the experiment on this machine; need not exist, and is not made
            for an experiment that the store does not have.

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
    """Writes a marker into an experiment's place in a store.

    Raises:
        StorageError: if that is not possible.
    """
    try:
        with_retries(lambda: store.write(STORAGE_MARKER_FILE, b"localtune\n"), store)
    except FileNotFoundError as error:
        raise StorageError(
            f"The remote storage {store.uri!r} cannot be used: {error}. Choose a storage_path in "
            "a place that exists."
        ) from error


def publish_files(store: RemoteStore, directory: str, names: Iterable[str]) -> None:
    """Uploads files of a run that begins, so that it can be restored from the store.

    Raises:
        StorageError: if that is not possible.
    """
    for name in names:
        with_retries(functools.partial(store.put_whole, name, os.path.join(directory, name)), store)


def remote_version(store: RemoteStore) -> Version | None:
    """Which state a store holds, None if none."""
    content = store.read(SYNC_FILE)
    return None if content is None else Version(**json.loads(content))


def read_record(directory: str) -> SyncRecord:
    """What a working copy knows of its exchange with the store."""
    try:
        path = os.path.join(directory, SYNC_FILE)
        with open(path, encoding="utf-8", opener=no_link) as file:
            record = json.load(file)
    except FileNotFoundError:
        return SyncRecord()
    own, base = Version(**record["own"]), Version(**record["base"])
    return SyncRecord(own, base, record["finished"])


def write_record(directory: str, record: SyncRecord) -> None:
    """Writes what :func:`read_record` reads."""
    content = dataclasses.asdict(record)
    write_file(os.path.join(directory, SYNC_FILE), json.dumps(content).encode())


def _replace(directory: str, record: SyncRecord, store: RemoteStore, version: Version) -> None:
    """Lets the state of a store take the place of the working copy, which others may be reading."""
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
            pass  # Nobody runs in there.


def _set_aside(directory: str, record: SyncRecord) -> str:
    """Gives the working copy another name; returns it if nothing in it is needed, "" if it is."""
    parent, name = os.path.split(directory)
    unneeded = os.path.join(parent, f"{STAGING_PREFIX}replaced_{name}")
    remove_tree(unneeded)
    if not os.path.isdir(directory):
        return ""
    if record.finished:
        os.rename(directory, unneeded)
        return unneeded
    aside = f"{directory}.replaced_{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(2).hex()}"
    os.rename(directory, aside)
    logger.warning(
        "Another machine has gone on with this experiment. What was not uploaded from here is now "
        "in %s.",
        aside,
    )
    return ""


def _download(store: RemoteStore, directory: str, version: Version) -> str:
    """Fetches all but the checkpoints into a directory beside the working copy."""
    parent, name = os.path.split(directory)
    staging = os.path.join(parent, f"{STAGING_PREFIX}{name}")
    remove_tree(staging)
    names = [name for name in with_retries(store.files, store) if not _is_left_out(name)]
    try:
        # Whoever may write into it can run code in the process that reads the experiment.
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
