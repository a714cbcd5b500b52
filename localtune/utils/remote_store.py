"""Represents a directory in a remote store through fsspec.

Only functions that use a URI or a file system object import fsspec.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localtune.error import ExtraMissingError, StorageError
from localtune.utils.text import did_you_mean

# Stores without directories, in which a new object replaces the old one in one step.
_OBJECT_STORES = frozenset(
    ["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "r2", "memory"]
)
_LOCAL_PROTOCOLS = frozenset(["file", "local"])
# Protocols to suggest for a misspelled one; others that fsspec supports work, too.
_COMMON_PROTOCOLS = ("s3", "gs", "gcs", "az", "abfs", "sftp", "hdfs", "memory", "file")


def is_uri(path: str) -> bool:
    """Tells whether a text is a URI of a place outside the local file system."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme not in _LOCAL_PROTOCOLS


def local_path(path: str | os.PathLike[str]) -> str:
    """Returns the local path that a path or a ``file://`` URI refers to, with ``~`` expanded.

    Example:
        >>> local_path("file:///data/my%20runs")
        '/data/my runs'
    """
    text = os.fspath(path)
    scheme, separator, rest = text.partition("://")
    if separator and scheme in _LOCAL_PROTOCOLS:
        from urllib.parse import unquote

        text = unquote(rest.removeprefix("localhost"))
    return os.path.expanduser(text)


def is_local_filesystem(filesystem: Any) -> bool:
    """Tells whether a file system object of pyarrow or fsspec is the local file system."""
    return getattr(filesystem, "type_name", None) == "local" or bool(
        _LOCAL_PROTOCOLS.intersection(_protocols(filesystem))
    )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """Holds the entry of one file in a listing.

    Attributes:
        size: Size in bytes.
        stamp: Text that changes with the content, as far as the store reports changes.
    """

    size: int
    stamp: str


@dataclass(frozen=True)
class RemoteStore:
    """Represents a directory in a store.

    Names are relative to it and separated by ``/``. Each method may raise any error of the file
    system, since these errors have no common class.

    Attributes:
        filesystem: A file system object of fsspec.
        root: Path of the directory in the file system.
    """

    filesystem: Any
    root: str

    @property
    def uri(self) -> str:
        """The URI of the directory, for texts."""
        return str(self.filesystem.unstrip_protocol(self.root))

    def child(self, name: str) -> RemoteStore:
        """Returns a directory inside this one."""
        return RemoteStore(self.filesystem, self._path(name))

    def parent(self) -> RemoteStore:
        """Returns the directory that contains this one."""
        return RemoteStore(self.filesystem, self.root.rpartition("/")[0])

    def files(self, name: str = "") -> dict[str, RemoteFile]:
        """Returns all files at any depth below a directory; empty if it does not exist.

        Args:
            name: The directory; "" is this one.

        Returns:
            {name relative to that directory: file}.
        """
        directory = self._path(name)
        self.filesystem.invalidate_cache()
        try:
            found = self.filesystem.find(directory, detail=True)
        except FileNotFoundError:
            return {}
        start = directory + "/"
        return {
            path.removeprefix(start): RemoteFile(info.get("size") or 0, _stamp(info))
            for path, info in found.items()
            if path.startswith(start)
        }

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file; None if it does not exist."""
        self.filesystem.invalidate_cache()
        try:
            content: bytes = self.filesystem.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file.

        Args:
            name: Name of the file.
            content: All of its content.
        """
        path = self._path(name)
        self._make_parents([path])
        self.filesystem.pipe_file(path, content)

    def put(self, files: Mapping[str, str]) -> None:
        """Uploads files.

        Args:
            files: {name in this directory: path of the local file}.

        Raises:
            FileNotFoundError: if a local file does not exist.
        """
        if not files:
            return
        paths = [self._path(name) for name in files]
        self._make_parents(paths)
        # Many file systems upload a list of files in parallel.
        self.filesystem.put(list(files.values()), paths)

    def put_whole(self, name: str, local_path: str) -> None:
        """Uploads a file so that a reader sees the old or the new content, never a part.

        Args:
            name: Name of the file in the store.
            local_path: Path of the local file.
        """
        if _OBJECT_STORES.intersection(_protocols(self.filesystem)):
            self.put({name: local_path})
            return
        staging = f"{name}.new"
        self.put({staging: local_path})
        try:
            self.filesystem.mv(self._path(staging), self._path(name))
        except OSError:
            # Some file systems rename only to free names.
            self.filesystem.rm(self._path(name))
            self.filesystem.mv(self._path(staging), self._path(name))

    def fetch(self, names: Iterable[str], directory: str) -> None:
        """Downloads files into a local directory.

        Args:
            names: Names of the files.
            directory: Local directory; made if missing.

        Raises:
            FileNotFoundError: if the store does not have one of the files.
            ValueError: for a name that leads out of the directory.
        """
        targets = {name: os.path.join(directory, *_parts(name)) for name in names}
        os.makedirs(directory, exist_ok=True)
        for target in targets.values():
            os.makedirs(os.path.dirname(target), exist_ok=True)
        if targets:
            self.filesystem.get([self._path(name) for name in targets], list(targets.values()))

    def remove(self, name: str) -> None:
        """Removes a file, or a directory with its content; does nothing if it does not exist."""
        self.filesystem.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.rm(self._path(name), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _make_parents(self, paths: Iterable[str]) -> None:
        if not _OBJECT_STORES.intersection(_protocols(self.filesystem)):
            for parent in sorted({path.rpartition("/")[0] for path in paths}):
                self.filesystem.makedirs(parent, exist_ok=True)


def open_store(path: str, filesystem: Any = None) -> RemoteStore:
    """Returns a directory in a store, without reading or writing anything.

    Args:
        path: URI of the directory; with a ``filesystem``, its path in that file system.
        filesystem: A file system object of fsspec or pyarrow.

    Raises:
        ExtraMissingError: if fsspec is not installed.
        StorageError: if the package for this kind of store is not installed.
        ValueError: for an unknown kind of store, or a ``filesystem`` of another type.
    """
    if filesystem is not None:
        filesystem = checked_filesystem(filesystem)
        return RemoteStore(filesystem, filesystem._strip_protocol(path).rstrip("/"))
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ExtraMissingError("fsspec", "remote", f"The remote storage {path!r}") from error
    protocol = path.partition("://")[0]
    try:
        filesystem, root = url_to_fs(path)
    except ImportError as error:
        raise StorageError(
            f"The remote storage {path!r} needs a package that is not installed: {error}."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"The remote storage {path!r} cannot be used: {error}."
            f"{did_you_mean(protocol, _COMMON_PROTOCOLS)}"
        ) from error
    return RemoteStore(filesystem, root.rstrip("/"))


def checked_filesystem(filesystem: Any) -> Any:
    """Returns a file system object as one of fsspec.

    Raises:
        ExtraMissingError: if fsspec is not installed.
        ValueError: for an object that is no file system of fsspec or pyarrow.
    """
    try:
        from fsspec import AbstractFileSystem
    except ImportError as error:
        raise ExtraMissingError("fsspec", "remote", "storage_filesystem") from error
    if isinstance(filesystem, AbstractFileSystem):
        return filesystem
    if type(filesystem).__module__.partition(".")[0] == "pyarrow":
        from fsspec.implementations.arrow import ArrowFSWrapper

        return ArrowFSWrapper(filesystem)
    raise ValueError(
        "filesystem or storage_filesystem must be a file system object of fsspec (such as "
        f"s3fs.S3FileSystem()) or of pyarrow, but got {filesystem!r}."
    )


def _parts(name: str) -> list[str]:
    """Returns the parts of a file's name in a store; another program may have chosen any name."""
    parts = name.split("/")
    if any(each in ("", ".", "..") or os.path.basename(each) != each for each in parts):
        raise ValueError(f"The store has a file {name!r}, whose name leads out of its directory.")
    return parts


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = getattr(filesystem, "protocol", ())
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _stamp(info: Mapping[str, Any]) -> str:
    for key in ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created"):
        if info.get(key) is not None:
            return str(info[key])
    return ""
