"""OutputPipe: what workers print, for somebody who shows it in a place of his choice."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable

from localtune.execution.waiter import Waiter

_CHUNK_BYTES = 64 * 1024
# Characters that a line without an end may have before it is passed on all the same.
_MAX_LINE = 64 * 1024


class OutputPipe:
    """A pipe that takes the place of the workers' standard streams.

    Args:
        waiter: Where the reading end is watched.
        on_text: Called with whole lines; very long ones come in pieces.

    Attributes:
        write_fd: The end for the workers.
    """

    def __init__(self, waiter: Waiter, on_text: Callable[[str], None]) -> None:
        self._waiter = waiter
        self._on_text = on_text
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""  # a line that has no end yet
        waiter.register(self._read_fd, self._on_readable)

    def close(self) -> None:
        """Takes in what is left; the workers must have ended."""
        while self._read():
            pass
        if self._rest:
            self._on_text(self._rest + "\n")
        self._waiter.unregister(self._read_fd)
        os.close(self._read_fd)
        os.close(self.write_fd)

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Takes in one piece; False if there is none."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._read_fd, _CHUNK_BYTES)
        lines, end, rest = (self._rest + self._decoder.decode(data)).rpartition("\n")
        if len(rest) > _MAX_LINE:
            # Somebody prints without line ends: it must not pile up here.
            lines, end, rest = lines + end + rest, "\n", ""
        self._rest = rest
        if end:
            self._on_text(lines + end)
        return bool(data)
