"""Files that lines are appended to, and how many of them are open at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from localtune.utils.files import no_link

# A process may have 1,024 open files on many systems; workers need some, too.
MAX_OPEN_FILES = 64

_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


class AppendFile:
    """A file that only grows at its end. Made if it is missing.

    Nothing is buffered, and a line is handed over in one piece: however the process ends, the
    file holds no half line. Only a full disk or a power loss can cut one.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    __slots__ = ("_fd",)

    def __init__(self, path: str) -> None:
        self._fd = no_link(path, _FLAGS)

    def append(self, text: str) -> None:
        """Adds text to the end of the file.

        Raises:
            OSError: if that fails; the file may hold a part of the text then.
        """
        # A file may hold text that UTF-8 cannot, half a surrogate pair for instance.
        self.append_bytes(text.encode("utf-8", "backslashreplace"))

    def append_bytes(self, data: bytes) -> None:
        """Adds bytes to the end of the file.

        Raises:
            OSError: if that fails; the file may hold a part of them then.
        """
        while data:
            data = data[os.write(self._fd, data) :]

    def status(self) -> os.stat_result:
        """What the system knows of the file."""
        return os.fstat(self._fd)

    def is_empty(self) -> bool:
        """Whether the file holds nothing yet."""
        return os.fstat(self._fd).st_size == 0

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)


class Closable(Protocol):
    """What :class:`OpenFiles` holds."""

    def close(self) -> None:
        """Gives the descriptor back."""


F = TypeVar("F", bound=Closable)


class OpenFiles(Generic[F]):
    """Files by path, each opened when it is asked for; the one that was used least recently goes.

    Args:
        open_file: Opens the file of a path.
        limit: How many are open at once.
    """

    def __init__(self, open_file: Callable[[str], F], limit: int = MAX_OPEN_FILES) -> None:
        self._open_file = open_file
        self._limit = limit
        self._files: dict[str, F] = {}  # least recently used first

    def get(self, path: str) -> F:
        """The file of a path, open."""
        file = self._files.pop(path, None)
        if file is None:
            file = self._open(path)
            if len(self._files) >= self._limit:
                self._close_oldest()
        self._files[path] = file
        return file

    def _open(self, path: str) -> F:
        while True:
            try:
                return self._open_file(path)
            except OSError as error:
                # The process has no descriptor left: those that are open here can be spared.
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._files:
                    raise
            self._close_oldest()

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
        # Descriptors mean nothing in a copy: it opens its files itself.
        return (OpenFiles, (self._open_file, self._limit))

    def __del__(self) -> None:
        self.close_all()
