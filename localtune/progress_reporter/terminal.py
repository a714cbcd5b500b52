"""Output streams: their abilities, and a stream whose failures do not end a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO

# Each replacement is one column wide, so that the layout stays the same.
_ASCII = str.maketrans(
    {"…": ".", "·": "-", "━": "=", "─": "-", "↓": "v", "↑": "^", "│": "|"}
    | dict(zip("▁▂▃▄▅▆▇█", "__..--==", strict=True))
)
_DEFAULT_SIZE = (80, 24)


class SafeStream:
    """A text stream whose failures do not end a run.

    Characters that the stream cannot encode are replaced. After a failed write (to a closed
    terminal, or a pipe without a reader) further text is dropped.

    Args:
        stream: The stream; None, as ``sys.stdout`` may be, drops all text.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: Any = stream
        self._is_gone = stream is None

    @property
    def encoding(self) -> str:
        """Name of the stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Writes text, unless a write has failed before."""
        if not self._is_gone:
            try:
                self._write(text)
            except (OSError, ValueError):
                self._is_gone = True
        return len(text)

    def flush(self) -> None:
        """Flushes the stream, unless a write has failed before."""
        if not self._is_gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._is_gone = True

    def isatty(self) -> bool:
        """Returns whether the stream is a terminal."""
        return is_terminal(self._stream)

    def fileno(self) -> int:
        """Returns the file descriptor of the stream."""
        number: int = self._stream.fileno()
        return number

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encodable = text.translate(_ASCII).encode(self.encoding, "replace")
            self._stream.write(encodable.decode(self.encoding))


def is_terminal(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # The stream has no such method, or is closed.
        return False


def can_move_cursor(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Returns whether a stream is a terminal on which lines can be overwritten.

    Args:
        stream: The stream.
        environ: Environment variables; ``TERM`` is used.
    """
    return is_terminal(stream) and environ.get("TERM", "").lower() not in ("dumb", "unknown")


def wants_color(environ: Mapping[str, str]) -> bool:
    """Returns whether colours are allowed: ``NO_COLOR`` is not set (https://no-color.org)."""
    return not environ.get("NO_COLOR")


def terminal_size(stream: TextIO | SafeStream, environ: Mapping[str, str]) -> tuple[int, int]:
    """Returns the current (columns, lines) of a terminal.

    ``COLUMNS`` and ``LINES`` take precedence. The default is 80 by 24. Unlike
    ``shutil.get_terminal_size`` it asks the given stream, not the standard output.

    Args:
        stream: The stream.
        environ: Environment variables.
    """
    try:
        actual = tuple(os.get_terminal_size(stream.fileno()))
    except (AttributeError, ValueError, OSError):
        actual = (0, 0)
    named = [_positive(environ.get(name)) for name in ("COLUMNS", "LINES")]
    columns, lines = (
        given or found or default
        for given, found, default in zip(named, actual, _DEFAULT_SIZE, strict=True)
    )
    return columns, lines


def _positive(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
