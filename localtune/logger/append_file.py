"""Files to which lines are appended, and a limit of open ones."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from localtune.utils import open_files
from localtune.utils.files import no_link

# On many systems a process may have 1,024 open files, of which workers need some.
MAX_OPEN_FILES = 64

_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


class AppendFile:
    """A file to which text is appended; it is created if it is missing.

    Nothing is buffered, and a line is one write. So the file holds only whole lines, even if the
    process is killed. Only a full disk or a power loss can cut a line.

    Args:
        path: Path of the file.
        is_new: Whether there must be nothing at the path.

    Raises:
        FileExistsError: if there is something, with ``is_new``.
        OSError: if the file cannot be opened.
    """

    __slots__ = ("_fd",)

    def __init__(self, path: str, *, is_new: bool = False) -> None:
        self._fd = no_link(path, _FLAGS | os.O_EXCL if is_new else _FLAGS)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def append(self, text: str) -> int:
        """Adds text to the end of the file; returns its length in bytes.

        Raises:
            OSError: if the write fails; the file may then hold a part of the text.
        """
        # Text may hold characters that UTF-8 cannot encode, such as half a surrogate pair.
        data = text.encode("utf-8", "backslashreplace")
        written = os.write(self._fd, data)
        if written < len(data):
            self.append_bytes(data[written:])
        return len(data)

    def append_bytes(self, data: bytes) -> None:
        """Adds bytes to the end of the file.

        Raises:
            OSError: if the write fails; the file may then hold a part of the bytes.
        """
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


class Closable(Protocol):
    """An object with a method ``close``, as in :class:`OpenFiles`."""

    def close(self) -> None:
        """Closes the descriptor."""


F = TypeVar("F", bound=Closable)


class OpenFiles(Generic[F]):
    """A cache of open files by path, which closes the least recently used one.

    Args:
        open_file: Opens the file at a path.
        limit: Largest number of open files; None is one for each worker that the limit of this
            process allows, and at least ``MAX_OPEN_FILES``.
    """

    def __init__(self, open_file: Callable[[str], F], limit: int | None = MAX_OPEN_FILES) -> None:
        self._open_file = open_file
        self._limit = limit
        self._most = MAX_OPEN_FILES if limit is None else limit
        self._files: dict[str, F] = {}  # least recently used first

    def get(self, path: str) -> F:
        """Returns the open file at a path."""
        file = self._files.pop(path, None)
        if file is None:
            return self.open(path, self._open_file)
        self._files[path] = file
        return file

    def open(self, path: str, open_file: Callable[[str], F]) -> F:
        """Opens the file at a path, which is not open, in another way than the usual one.

        Args:
            path: The path.
            open_file: Opens it.

        Returns:
            The open file.

        Raises:
            OSError: if it cannot be opened.
        """
        while True:
            try:
                file = open_file(path)
                break
            except OSError as error:
                # The process has no descriptor left. Closing a file of this cache frees one.
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._files:
                    raise
            self._close_oldest()
        if self._is_full():
            self._close_oldest()
        self._files[path] = file
        return file

    def _is_full(self) -> bool:
        if len(self._files) >= self._most and self._limit is None:
            # A run raises the limit of the process when it starts more workers.
            limits = open_files.limits()
            self._most = max(limits[0] // open_files.PER_WORKER if limits else 0, MAX_OPEN_FILES)
        return len(self._files) >= self._most

    def _close_oldest(self) -> None:
        self.close(next(iter(self._files)))

    def close(self, path: str) -> None:
        """Closes a file; nothing happens if it is not open."""
        file = self._files.pop(path, None)
        if file is not None:
            file.close()

    def close_all(self) -> None:
        """Closes all files."""
        for path in list(self._files):
            self.close(path)

    def __reduce__(self) -> tuple[object, ...]:
        # A copy cannot use the descriptors, and opens the files itself.
        return (OpenFiles, (self._open_file, self._limit))

    def __del__(self) -> None:
        self.close_all()
