"""OutputPipe: passes the output of a worker to a function that shows it."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable

from localtune.execution.process.waiter import Waiter

_CHUNK_BYTES = 64 * 1024
# A line that becomes longer is passed on before its end.
_MAX_LINE = 64 * 1024
# A pipe holds 64 KiB, and a MiB where a process has enlarged it.
_MAX_PIECES = 32


class OutputPipe:
    """A pipe that takes the place of a worker's standard streams.

    Args:
        waiter: Watches the reading end.
        on_text: Called as ``on_text(lines, source)`` with whole lines, or pieces of very long
            lines.
        source: Id of the first trial of the worker.

    Attributes:
        write_fd: The end for the worker.
    """

    def __init__(
        self, waiter: Waiter, on_text: Callable[[str, str], None], source: str = ""
    ) -> None:
        self._waiter = waiter
        self._on_text = on_text
        self._source = source
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""  # a line that has no end yet
        waiter.register(self._read_fd, self._on_readable)

    def next_source(self, source: str) -> None:
        """Sets the trial that prints from now on."""
        self._take_in_rest()
        self._source = source

    def close(self) -> None:
        """Passes the rest on; the worker must have ended."""
        self._take_in_rest()
        self._waiter.unregister(self._read_fd)
        os.close(self._read_fd)
        os.close(self.write_fd)

    def _take_in_rest(self) -> None:
        # Not more than a pipe holds, because a process that has inherited it may write without end.
        for _ in range(_MAX_PIECES):
            if not self._read():
                break
        if self._rest:
            rest, self._rest = self._rest, ""
            self._on_text(rest + "\n", self._source)

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Reads one piece and passes its lines on; returns False if there is none."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._read_fd, _CHUNK_BYTES)
        lines, end, rest = (self._rest + self._decoder.decode(data)).rpartition("\n")
        if len(rest) > _MAX_LINE:
            # Output without line ends must not fill the memory.
            lines, end, rest = lines + end + rest, "\n", ""
        self._rest = rest
        if end:
            self._on_text(lines + end, self._source)
        return bool(data)
