"""Handle of a directory that holds the state of a trainable."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localtune.result import CHECKPOINT_METADATA_FILE
from localtune.utils.files import copy_tree, write_file


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

    Args:
        path: Absolute path, ``~/...`` or ``file://...`` of a local directory. It need not exist
            yet.
        filesystem: None, or a file system object that stands for the local disk. Others are
            refused: localtune keeps checkpoints on local disks.

    Raises:
        ValueError: The path is relative, or not on a local disk.

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
        if filesystem is not None and not _is_local(filesystem):
            raise ValueError(
                "filesystem must be None (the local disk), but got "
                f"{filesystem!r}. Copy the checkpoint to a local directory first."
            )
        self.path = _local_path(os.fspath(path))
        self.filesystem = filesystem
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
        """
        import tempfile

        if path is None:
            target = os.path.join(tempfile.gettempdir(), self._temp_name)
        else:
            target = os.path.abspath(os.path.expanduser(path))
        if not os.path.isdir(self.path):
            raise FileNotFoundError(f"The checkpoint's directory does not exist: {self.path}")
        _copy_once(self.path, target)
        return target

    @contextmanager
    def as_directory(self) -> Iterator[str]:
        """Context manager that yields a directory with the checkpoint's content, to be read.

        Yields:
            Path of the checkpoint itself, not of a copy: do not change what it holds.
        """
        yield self.path

    def get_metadata(self) -> dict[str, Any]:
        """Read the metadata.

        Returns:
            What was set last; empty if nothing was.
        """
        import json

        try:
            with open(self._metadata_file, encoding="utf-8") as file:
                metadata: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return {}
        return metadata

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Replace the metadata.

        Args:
            metadata: What JSON can hold.

        Raises:
            TypeError: JSON cannot hold it.
        """
        import json

        write_file(self._metadata_file, json.dumps(metadata).encode())

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        """Add to the metadata; keys that exist get the new value.

        Args:
            metadata: What JSON can hold.
        """
        self.set_metadata({**self.get_metadata(), **metadata})

    @property
    def _metadata_file(self) -> str:
        return os.path.join(self.path, CHECKPOINT_METADATA_FILE)

    def __fspath__(self) -> str:
        raise TypeError(
            "A checkpoint cannot be used as a path. Use checkpoint.path, or "
            "`with checkpoint.as_directory() as path:`."
        )

    def __repr__(self) -> str:
        filesystem = "local" if self.filesystem is None else type(self.filesystem).__name__
        return f"{type(self).__name__}(filesystem={filesystem}, path={self.path})"


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


def _is_local(filesystem: Any) -> bool:
    """Whether a pyarrow or fsspec file system object is the local disk."""
    protocol = getattr(filesystem, "protocol", ())
    return getattr(filesystem, "type_name", None) == "local" or "file" in protocol


def _local_path(path: str) -> str:
    scheme, separator, rest = path.partition("://")
    if separator and scheme == "file":
        from urllib.parse import unquote

        path = unquote(rest)
    elif separator:
        raise ValueError(
            f"path must be a local directory, but got {path!r}. "
            "Copy the checkpoint to a local directory first."
        )
    path = os.path.expanduser(path)
    if not os.path.isabs(path):
        raise ValueError(
            f"path must be absolute, but got {path!r}. Use os.path.abspath(path) or "
            "Checkpoint.from_directory(path)."
        )
    return path


def _copy_once(source: str, target: str) -> None:
    from filelock import FileLock, Timeout

    lock = FileLock(_lock_file(target))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with lock:
            # Whoever had the lock has copied, unless the copy failed.
            if not _holds_copy(source, target):
                copy_tree(source, target)
        return
    try:
        copy_tree(source, target)
    finally:
        lock.release()


def _lock_file(target: str) -> str:
    """Path of the lock for a directory; apart from it, so that the copy holds nothing else."""
    import hashlib
    import tempfile

    user_id = os.getuid() if hasattr(os, "getuid") else 0
    directory = os.path.join(tempfile.gettempdir(), f"localtune_locks_{user_id}")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if os.lstat(directory).st_uid != user_id:
        raise PermissionError(f"{directory} belongs to another user. Set TMPDIR to your own.")
    name = hashlib.sha256(os.path.realpath(target).encode()).hexdigest()[:32]
    return os.path.join(directory, f"{name}.lock")


def _holds_copy(source: str, target: str) -> bool:
    for directory, _, names in os.walk(source, followlinks=True):
        for name in names:
            original = os.path.join(directory, name)
            copy = os.path.join(target, os.path.relpath(original, source))
            if not os.path.exists(copy) or os.path.getsize(copy) != os.path.getsize(original):
                return False
    return os.path.isdir(target)
