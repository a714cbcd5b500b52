"""MetricsFile: follows the file of results that a program writes while it runs."""

from __future__ import annotations

import contextlib
import os
import stat

from localtune.trainable.command.output_lines import LineSplitter

_CHUNK_BYTES = 64 * 1024
# Of one look: a program that writes faster is read in several.
_MAX_CHUNKS = 16


class MetricsFile:
    """Reads the lines that are added to a file.

    A program may write the whole file anew: the lines that were read already are not read again.

    Args:
        path: The file; what an earlier start of the program has left is removed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._seen = 0  # lines of the present file
        self._taken = 0  # lines that were returned
        self._lines = LineSplitter()
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)

    def read(self, *, to_end: bool = False) -> tuple[list[bytes], int]:
        """Returns the whole lines that are new, and the time at which the file was written.

        Args:
            to_end: Whether the file is complete: its last line may have no end.
        """
        try:
            with open(self._path, "rb", opener=_not_blocking) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return [], 0
                identity = (status.st_dev, status.st_ino)
                if identity != self._identity or status.st_size < self._offset:
                    self._start_over(identity)
                file.seek(self._offset)
                lines = []
                for _ in range(_MAX_CHUNKS):
                    data = file.read(_CHUNK_BYTES)
                    self._offset += len(data)
                    lines += self._new_of(list(self._lines.feed(data)))
                    if not data:
                        break
                if to_end:
                    lines += self._new_of(list(self._lines.finish()))
                return lines, status.st_mtime_ns
        except OSError:
            return [], 0  # There is none, or the program has put something else there.

    @property
    def position(self) -> int:
        """Number of bytes that were read of the present file."""
        return self._offset

    def _start_over(self, identity: tuple[int, int]) -> None:
        self._identity = identity
        self._offset = self._seen = 0
        self._lines = LineSplitter()

    def _new_of(self, lines: list[bytes]) -> list[bytes]:
        new = [line for number, line in enumerate(lines, self._seen + 1) if number > self._taken]
        self._seen += len(lines)
        self._taken = max(self._taken, self._seen)
        return new


def _not_blocking(path: str, flags: int) -> int:
    # The program may have made a named pipe.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
