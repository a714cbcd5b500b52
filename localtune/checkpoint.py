"""Defines Checkpoint, the handle of a directory with the state of a trainable."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localtune.old_names.attributes import OldAttribute
from localtune.old_names.use import translated
from localtune.result import CHECKPOINT_METADATA_FILE
from localtune.utils.claims import claimed
from localtune.utils.copying import copy_tree
from localtune.utils.files import no_link, write_file
from localtune.utils.remote_fetch import fetch_cached, fetch_missing
from localtune.utils.remote_store import (
    RemoteStore,
    is_local_filesystem,
    is_uri,
    local_path,
    open_store,
)
from localtune.utils.text import printable


class Checkpoint:
    """Refers to a directory with the state of a trainable.

    A checkpoint does not own the directory, and only its methods read or write it. Two checkpoints
    are equal only if they are the same object.

    The directory may be in a store: as a URI, or as the checkpoint of an experiment with remote
    storage whose local directory was removed. Then :meth:`as_directory` and :meth:`to_directory`
    fetch it.

    Args:
        path: Absolute path, ``~/...`` or ``file://...`` of a local directory, or the URI of a
            directory in a store (``s3://...``). It need not exist yet.
        filesystem: File system object of fsspec or pyarrow that contains ``path``, or None.

    Raises:
        ValueError: if the path is relative, or ``filesystem`` is no file system.

    Example:
        >>> import tempfile
        >>> checkpoint = Checkpoint(tempfile.mkdtemp())
        >>> with checkpoint.as_directory() as path:
        ...     os.listdir(path)
        []
    """

    from_dict = OldAttribute("Checkpoint.from_dict")
    to_dict = OldAttribute("Checkpoint.to_dict")
    from_bytes = OldAttribute("Checkpoint.from_bytes")
    to_bytes = OldAttribute("Checkpoint.to_bytes")
    get_internal_representation = OldAttribute("Checkpoint.get_internal_representation")
    from_uri = OldAttribute("Checkpoint.from_uri")
    to_uri = OldAttribute("Checkpoint.to_uri")
    uri = OldAttribute("Checkpoint.uri")
    to_air_checkpoint = OldAttribute("Checkpoint.to_air_checkpoint")
    value = OldAttribute("Checkpoint.value")
    dir_or_data = OldAttribute("Checkpoint.dir_or_data")
    local_path = OldAttribute("Checkpoint.local_path")
    get_preprocessor = OldAttribute("Checkpoint.get_preprocessor")
    set_preprocessor = OldAttribute("Checkpoint.set_preprocessor")

    def __init__(self, path: str | os.PathLike[str], filesystem: Any = None) -> None:
        text = os.fspath(path)
        if filesystem is not None and not is_local_filesystem(filesystem):
            store = open_store(text, filesystem)
            self.path, self.filesystem = store.root, store.filesystem
        elif is_uri(text):
            # _store() opens the URI when a method needs it.
            self.path, self.filesystem = text.rstrip("/"), None
        else:
            self.path, self.filesystem = _absolute_path(text), filesystem
        self._temp_name = _new_temp_name()

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Makes a checkpoint from a local directory.

        Args:
            path: The directory; a relative path stays relative. It need not exist yet.

        Returns:
            The checkpoint.
        """
        checkpoint = cls(os.path.abspath(path))
        checkpoint.path = os.fspath(path)
        return checkpoint

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copies the checkpoint to a local directory.

        If several callers, in any processes, ask for the same directory at once, one of them
        copies.

        Args:
            path: Directory to copy into; made if missing. Files in it stay unless the checkpoint
                has a file of the same name. None selects a temporary directory, the same one for
                each call on this object.

        Returns:
            Path of the copy. The caller must remove a temporary one.

        Raises:
            FileNotFoundError: if the checkpoint's directory does not exist.
            StorageError: if it is in a store and cannot be fetched.
            ExtraMissingError: if it is in a store and fsspec is not installed.
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
        """Yields a directory with the checkpoint's content, for reading.

        Yields:
            Path of the checkpoint itself, not of a copy: do not change its content. A checkpoint in
            a store is fetched once per machine, and other readers use the same copy.

        Raises:
            FileNotFoundError: if the store does not have it.
            StorageError: if it cannot be fetched.
        """
        yield self._local_directory()

    def get_metadata(self) -> dict[str, Any]:
        """Returns the metadata that were set last; empty if none were set."""
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
        """Replaces the metadata.

        Args:
            metadata: Metadata that JSON supports.

        Raises:
            TypeError: for a value that JSON does not support.
            ValueError: if the checkpoint is in a store, which cannot be changed.
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
        """Adds to the metadata; existing keys get the new values.

        Args:
            metadata: Metadata that JSON supports.
        """
        self.set_metadata({**self.get_metadata(), **metadata})

    def _store(self) -> RemoteStore | None:
        """Returns the place in a store; None for a local checkpoint."""
        if self.filesystem is not None and not is_local_filesystem(self.filesystem):
            return RemoteStore(self.filesystem, self.path)
        return open_store(self.path) if is_uri(self.path) else None

    def _local_directory(self) -> str:
        """Returns the directory on this machine; fetches it if it is only in a store."""
        store = self._store()
        if store is not None:
            return fetch_cached(store)
        fetch_missing(self.path)
        return self.path

    @property
    def _metadata_file(self) -> str:
        return os.path.join(self.path, CHECKPOINT_METADATA_FILE)

    def __fspath__(self) -> str:
        path: str = translated("os.path.join(checkpoint, file)", self)
        return path

    def __add__(self, text: object) -> str:
        return f"{self.__fspath__()}{text}"

    def __repr__(self) -> str:
        if self.filesystem is not None:
            filesystem = type(self.filesystem).__name__
        else:
            filesystem = self.path.partition("://")[0] if is_uri(self.path) else "local"
        return f"{type(self).__name__}(filesystem={filesystem}, path={printable(self.path)})"


@dataclass(slots=True)
class TrainingResult:
    """Holds a checkpoint and the result that it belongs to.

    Attributes:
        checkpoint: The checkpoint; None if the result has none.
        metrics: The last result before the checkpoint; empty if there was none.
    """

    checkpoint: Checkpoint | None
    metrics: dict[str, Any] = field(default_factory=dict)


def relocated(checkpoint: Checkpoint, path: str) -> Checkpoint:
    """Returns a copy of a checkpoint handle, with its class and attributes, for another directory.

    Args:
        checkpoint: The handle.
        path: Absolute path of the other directory, on a local disk.
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
        # Another process may have made the copy and be reading it: do not write it again.
        if not _is_copied(source, target):
            copy_tree(source, target)


def _is_copied(source: str, target: str) -> bool:
    for directory, _, names in os.walk(source, followlinks=True):
        for name in names:
            original = os.path.join(directory, name)
            copy = os.path.join(target, os.path.relpath(original, source))
            if _stamp(copy) != _stamp(original):
                return False
    return os.path.isdir(target)


def _stamp(path: str) -> tuple[int, int] | None:
    """Returns (size, time) of a file; a complete copy has the time of its original."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
