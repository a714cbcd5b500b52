r"""Lines of a program's output, in bounded memory: whole ones to read, the last ones to show.

A ``\r`` ends a line, too: progress bars begin again with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

# A line that is longer is no result, and is passed over.
MAX_LINE_BYTES = 1024 * 1024
_SHOWN_LINES = 20
_SHOWN_BYTES = 400  # of one line


class LineSplitter:
    """Splits a stream of bytes into lines.

    Attributes:
        too_long: Number of lines that were passed over because they are too long.
    """

    def __init__(self) -> None:
        self.too_long = 0
        self._rest = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes in data; yields the lines that are whole now, without their ends."""
        data = data.replace(b"\r", b"\n")
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = self._take(data[start:end])
            start = end + 1
            if line is not None:
                yield line
        self._keep(data[start:])

    def finish(self) -> Iterator[bytes]:
        """Yields the line that has no end."""
        if self._rest and not self._is_skipping:
            yield bytes(self._rest)
        self._rest.clear()

    def _take(self, end: bytes) -> bytes | None:
        self._keep(end)
        line = None if self._is_skipping else bytes(self._rest)
        self._rest.clear()
        self._is_skipping = False
        return line

    def _keep(self, data: bytes) -> None:
        if self._is_skipping:
            return
        if len(self._rest) + len(data) > MAX_LINE_BYTES:
            self._is_skipping = True
            self.too_long += 1
            self._rest.clear()
        else:
            self._rest += data


class Tail:
    """Keeps the last lines of a stream."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_SHOWN_LINES)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Takes in data."""
        *lines, rest = data.replace(b"\r", b"\n").rsplit(b"\n", _SHOWN_LINES + 1)
        if lines:
            self._lines.extend(each[:_SHOWN_BYTES] for each in [self._rest + lines[0], *lines[1:]])
            self._rest = b""
        self._rest = (self._rest + rest)[:_SHOWN_BYTES]

    @property
    def text(self) -> str:
        """The last lines, those that are too long cut."""
        lines = [*self._lines, self._rest] if self._rest else list(self._lines)
        shown = [each.decode("utf-8", "replace").rstrip() for each in lines[-_SHOWN_LINES:]]
        return "\n".join(shown).strip("\n")
