"""RemoteStore: a directory of files somewhere else, seen through fsspec.

fsspec is imported only where a URI or a file system object is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localtune.error import ExtraMissingError, StorageError
from localtune.utils.text import near_miss

# A new object replaces the old one in one step there, and directories do not exist.
_OBJECT_STORES = frozenset(
    ["s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "r2", "memory"]
)
_LOCAL_PROTOCOLS = frozenset(["file", "local"])
# What most protocols are for: others that fsspec knows work, too.
_COMMON_PROTOCOLS = ("s3", "gs", "gcs", "az", "abfs", "sftp", "hdfs", "memory", "file")


def is_uri(path: str) -> bool:
    """Whether a text is the URI of a place that is not simply a directory of this machine."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme not in _LOCAL_PROTOCOLS


def local_path(path: str | os.PathLike[str]) -> str:
    """The path on this machine that a path or a ``file://`` URI means; ``~`` is the user's home.

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
    """Whether a file system object of pyarrow or fsspec is the local disk."""
    return getattr(filesystem, "type_name", None) == "local" or bool(
        _LOCAL_PROTOCOLS.intersection(_protocols(filesystem))
    )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a listing says about a file.

    Attributes:
        size: In bytes.
        stamp: Changes when the content does, as far as the store tells.
    """

    size: int
    stamp: str


@dataclass(frozen=True)
class RemoteStore:
    """A directory in a store.

    Names are relative to it and separated by ``/``. Each method may raise whatever the file
    system raises: there is no common class for that.

    Attributes:
        filesystem: A file system object of fsspec.
        root: Path of the directory in it.
    """

    filesystem: Any
    root: str

    @property
    def uri(self) -> str:
        """The directory's name for a person."""
        return str(self.filesystem.unstrip_protocol(self.root))

    def child(self, name: str) -> RemoteStore:
        """A directory in this one."""
        return RemoteStore(self.filesystem, self._path(name))

    def parent(self) -> RemoteStore:
        """The directory around this one."""
        return RemoteStore(self.filesystem, self.root.rpartition("/")[0])

    def files(self, name: str = "") -> dict[str, RemoteFile]:
        """All files at any depth below a directory; empty if there is none.

        Args:
            name: The directory; "" is this one.

        Returns:
            The files by their names, which are relative to that directory.
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
        """The content of a small file, None if there is none."""
        self.filesystem.invalidate_cache()
        try:
            content: bytes = self.filesystem.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return content

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file."""
        path = self._path(name)
        self._make_parents([path])
        self.filesystem.pipe_file(path, content)

    def put(self, files: Mapping[str, str]) -> None:
        """Uploads files.

        Args:
            files: {name here: path of the local file}.

        Raises:
            FileNotFoundError: if a local file is gone.
        """
        if not files:
            return
        paths = [self._path(name) for name in files]
        self._make_parents(paths)
        # A list of files is uploaded in parallel where the file system can do that.
        self.filesystem.put(list(files.values()), paths)

    def put_whole(self, name: str, local_path: str) -> None:
        """Uploads a file so that a reader sees the old content or the new one, never a part."""
        if _OBJECT_STORES.intersection(_protocols(self.filesystem)):
            self.put({name: local_path})
            return
        staging = f"{name}.new"
        self.put({staging: local_path})
        try:
            self.filesystem.mv(self._path(staging), self._path(name))
        except OSError:
            # Some rename only to names that are free.
            self.filesystem.rm(self._path(name))
            self.filesystem.mv(self._path(staging), self._path(name))

    def fetch(self, names: Iterable[str], directory: str) -> None:
        """Downloads files into a local directory, which is made if missing.

        Raises:
            FileNotFoundError: if one is not there.
            ValueError: for a name that leads out of the directory.
        """
        targets = {name: os.path.join(directory, *_parts(name)) for name in names}
        os.makedirs(directory, exist_ok=True)
        for target in targets.values():
            os.makedirs(os.path.dirname(target), exist_ok=True)
        if targets:
            self.filesystem.get([self._path(name) for name in targets], list(targets.values()))

    def remove(self, name: str) -> None:
        """Removes a file, or a directory with everything in it; no error if there is none."""
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
    """Opens a directory in a store. Nothing is read or written yet.

    Args:
        path: Its URI; or with a ``filesystem``, its path there.
        filesystem: A file system object of fsspec or pyarrow.

    Raises:
        ExtraMissingError: if fsspec is not installed.
        StorageError: if the package for this kind of store is not installed.
        ValueError: for a kind of store that does not exist, or what is no file system object.
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
        guess = near_miss(protocol, _COMMON_PROTOCOLS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ValueError(f"The remote storage {path!r} cannot be used: {error}.{hint}") from error
    return RemoteStore(filesystem, root.rstrip("/"))


def checked_filesystem(filesystem: Any) -> Any:
    """The file system object as one of fsspec.

    Raises:
        ExtraMissingError: if fsspec is not installed.
        ValueError: if it is none.
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
    """The parts of a name; whoever writes into a store may call a file whatever they like."""
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
