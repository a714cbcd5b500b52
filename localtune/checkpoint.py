"""Handle of a directory that holds the state of a trainable."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localtune.result import CHECKPOINT_METADATA_FILE
from localtune.utils.claims import claimed
from localtune.utils.files import copy_tree, no_link, write_file
from localtune.utils.remote_fetch import fetch_cached, fetch_missing
from localtune.utils.remote_store import (
    RemoteStore,
    is_local_filesystem,
    is_uri,
    local_path,
    open_store,
)
from localtune.utils.text import printable


class _RemovedName:
    """A name of old checkpoint classes: accessing it tells what to use instead."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        raise AttributeError(f"Checkpoint.{self._name} does not exist (any more): {self._remedy}.")


_USE_FILES = (
    "write files into a directory and use Checkpoint.from_directory(path); "
    "read them in `with checkpoint.as_directory() as path:`"
)
_USE_PATH = "use Checkpoint(path) and checkpoint.path"
_USE_METADATA = "use checkpoint.set_metadata() and checkpoint.get_metadata()"


class Checkpoint:
    """A directory that holds the state of a trainable.

    A checkpoint refers to the directory; it does not own it, and nothing is read or written
    before one of its methods is called. Two checkpoints are equal only if they are one object.

    It may be in a store: as the URI of one, or as the checkpoint of an experiment with remote
    storage whose local directory is gone. Then :meth:`as_directory` and :meth:`to_directory`
    fetch it.

    Args:
        path: Absolute path, ``~/...`` or ``file://...`` of a local directory, or the URI of a
            directory in a store (``s3://...``). It need not exist yet.
        filesystem: None, or a file system object of fsspec or pyarrow, in which ``path`` is.

    Raises:
        ValueError: The path is relative, or ``filesystem`` is no file system.

    Example:
        >>> import tempfile
        >>> checkpoint = Checkpoint(tempfile.mkdtemp())
        >>> with checkpoint.as_directory() as path:
        ...     os.listdir(path)
        []
    """

    from_dict = _RemovedName(_USE_FILES)
    to_dict = _RemovedName(_USE_FILES)
    from_bytes = _RemovedName(_USE_FILES)
    to_bytes = _RemovedName(_USE_FILES)
    get_internal_representation = _RemovedName(_USE_FILES)
    from_uri = _RemovedName(_USE_PATH)
    to_uri = _RemovedName(_USE_PATH)
    uri = _RemovedName(_USE_PATH)
    get_preprocessor = _RemovedName(_USE_METADATA)
    set_preprocessor = _RemovedName(_USE_METADATA)

    def __init__(self, path: str | os.PathLike[str], filesystem: Any = None) -> None:
        text = os.fspath(path)
        if filesystem is not None and not is_local_filesystem(filesystem):
            store = open_store(text, filesystem)
            self.path, self.filesystem = store.root, store.filesystem
        elif is_uri(text):
            # The URI is enough to open it, when something is to be read.
            self.path, self.filesystem = text.rstrip("/"), None
        else:
            self.path, self.filesystem = _absolute_path(text), filesystem
        self._temp_name = _new_temp_name()

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Make a checkpoint from a local directory.

        Args:
            path: The directory; relative paths are kept as they are. It need not exist yet.

        Returns:
            The checkpoint.
        """
        checkpoint = cls(os.path.abspath(path))
        checkpoint.path = os.fspath(path)
        return checkpoint

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copy the checkpoint.

        Several callers at once, in one process or more, that ask for the same directory copy
        once.

        Args:
            path: Directory to copy into, made if missing; what it holds already stays. None for
                a temporary directory: the same one at each call on this object.

        Returns:
            Path of the copy. A temporary one is the caller's to remove.

        Raises:
            FileNotFoundError: The checkpoint's directory does not exist.
            StorageError: It is in a store, and cannot be fetched.
            ExtraMissingError: It is in a store, and fsspec is not installed.
        """
        import tempfile

        if path is None:
            target = os.path.join(tempfile.gettempdir(), self._temp_name)
        else:
            target = os.path.abspath(os.path.expanduser(path))
        source = self._local_directory()
        if not os.path.isdir(source):
            raise FileNotFoundError(f"The checkpoint's directory does not exist: {source}")
        _copy_once(source, target)
        return target

    @contextmanager
    def as_directory(self) -> Iterator[str]:
        """Context manager that yields a directory with the checkpoint's content, to be read.

        Yields:
            Path of the checkpoint itself, not of a copy: do not change what it holds. One in a
            store is fetched, once per machine, and others read that copy, too.

        Raises:
            FileNotFoundError: The store does not have it.
            StorageError: It cannot be fetched.
        """
        yield self._local_directory()

    def get_metadata(self) -> dict[str, Any]:
        """Read the metadata.

        Returns:
            What was set last; empty if nothing was.
        """
        import json

        store = self._store()
        if store is not None:
            content = store.read(CHECKPOINT_METADATA_FILE)
        else:
            self._local_directory()
            try:
                with open(self._metadata_file, "rb", opener=no_link) as file:
                    content = file.read()
            except FileNotFoundError:
                content = None
        metadata: dict[str, Any] = json.loads(content) if content is not None else {}
        return metadata

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Replace the metadata.

        Args:
            metadata: What JSON can hold.

        Raises:
            TypeError: JSON cannot hold it.
            ValueError: The checkpoint is in a store, where nothing is changed.
        """
        import json

        if self._store() is not None:
            raise ValueError(
                f"The metadata of {self.path!r} cannot be set: it is in a store. Copy the "
                "checkpoint with to_directory(), and set the metadata of the copy."
            )
        self._local_directory()
        write_file(self._metadata_file, json.dumps(metadata).encode())

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        """Add to the metadata; keys that exist get the new value.

        Args:
            metadata: What JSON can hold.
        """
        self.set_metadata({**self.get_metadata(), **metadata})

    def _store(self) -> RemoteStore | None:
        """Where the checkpoint is, None if that is a path of this machine."""
        if self.filesystem is not None and not is_local_filesystem(self.filesystem):
            return RemoteStore(self.filesystem, self.path)
        return open_store(self.path) if is_uri(self.path) else None

    def _local_directory(self) -> str:
        """The directory on this machine; what is only in a store is fetched."""
        store = self._store()
        if store is not None:
            return fetch_cached(store)
        fetch_missing(self.path)
        return self.path

    @property
    def _metadata_file(self) -> str:
        return os.path.join(self.path, CHECKPOINT_METADATA_FILE)

    def __fspath__(self) -> str:
        raise TypeError(
            "A checkpoint cannot be used as a path. Use checkpoint.path, or "
            "`with checkpoint.as_directory() as path:`."
        )

    def __repr__(self) -> str:
        if self.filesystem is not None:
            filesystem = type(self.filesystem).__name__
        else:
            filesystem = self.path.partition("://")[0] if is_uri(self.path) else "local"
        return f"{type(self).__name__}(filesystem={filesystem}, path={printable(self.path)})"


@dataclass(slots=True)
class TrainingResult:
    """A checkpoint together with the result that it belongs to.

    Attributes:
        checkpoint: The checkpoint, or None where the result came without one.
        metrics: The last result before the checkpoint; empty if there was none.
    """

    checkpoint: Checkpoint | None
    metrics: dict[str, Any] = field(default_factory=dict)


def relocated(checkpoint: Checkpoint, path: str) -> Checkpoint:
    """Copy a checkpoint handle, its class and attributes included, for another directory.

    Args:
        checkpoint: The handle.
        path: Absolute path of the other directory, on a local disk.

    Returns:
        The new handle.
    """
    moved = copy.copy(checkpoint)
    moved.path = path
    moved.filesystem = None
    moved._temp_name = _new_temp_name()
    return moved


def _new_temp_name() -> str:
    return "checkpoint_tmp_" + os.urandom(16).hex()


def _absolute_path(path: str) -> str:
    path = local_path(path)
    if not os.path.isabs(path):
        raise ValueError(
            f"path must be absolute, but got {path!r}. Use os.path.abspath(path) or "
            "Checkpoint.from_directory(path)."
        )
    return path


def _copy_once(source: str, target: str) -> None:
    with claimed(target):
        # Somebody may have copied already, and may be reading: files are not written once more.
        if not _holds_copy(source, target):
            copy_tree(source, target)


def _holds_copy(source: str, target: str) -> bool:
    for directory, _, names in os.walk(source, followlinks=True):
        for name in names:
            original = os.path.join(directory, name)
            copy = os.path.join(target, os.path.relpath(original, source))
            if _stamp(copy) != _stamp(original):
                return False
    return os.path.isdir(target)


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of a file; a copy gets the time of its original when it is whole."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
