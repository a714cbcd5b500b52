"""Where output goes: what a stream can show, and writing to it so that a run survives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO

# One column each, so that what was laid out stays so.
_ASCII = str.maketrans(
    {"…": ".", "·": "-", "━": "=", "─": "-", "↓": "v", "↑": "^", "│": "|"}
    | dict(zip("▁▂▃▄▅▆▇█", "__..--==", strict=True))
)
_DEFAULT_SIZE = (80, 24)


class SafeStream:
    """A text stream whose failures do not end a run.

    Characters that the stream cannot encode are replaced. When it cannot be written to any more
    (a closed terminal, a pipe whose reader has gone) further text is dropped: a sweep of hours is
    worth more than its log.

    Args:
        stream: Where to write; None, which an interpreter without a standard output has for one,
            is nowhere.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: Any = stream
        self._is_gone = stream is None

    @property
    def encoding(self) -> str:
        """Encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Writes text, unless the stream is gone."""
        if not self._is_gone:
            try:
                self._write(text)
            except (OSError, ValueError):
                self._is_gone = True
        return len(text)

    def flush(self) -> None:
        """Flushes, unless the stream is gone."""
        if not self._is_gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._is_gone = True

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return is_terminal(self._stream)

    def fileno(self) -> int:
        """File descriptor of the stream."""
        number: int = self._stream.fileno()
        return number

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encodable = text.translate(_ASCII).encode(self.encoding, "replace")
            self._stream.write(encodable.decode(self.encoding))


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # Not a full stream, or a closed one.
        return False


def can_move_cursor(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream is a terminal on which lines can be written anew."""
    return is_terminal(stream) and environ.get("TERM", "").lower() not in ("dumb", "unknown")


def wants_color(environ: Mapping[str, str]) -> bool:
    """Whether the user has nothing against colours (https://no-color.org)."""
    return not environ.get("NO_COLOR")


def terminal_size(stream: TextIO | SafeStream, environ: Mapping[str, str]) -> tuple[int, int]:
    """(columns, lines) of a terminal now; ``COLUMNS`` and ``LINES`` win, 80 by 24 is the default.

    Unlike ``shutil.get_terminal_size`` it asks the stream that is written to, which need not be
    the standard output.
    """
    try:
        actual = tuple(os.get_terminal_size(stream.fileno()))
    except (AttributeError, ValueError, OSError):
        actual = (0, 0)
    named = [_positive(environ.get(name)) for name in ("COLUMNS", "LINES")]
    columns, lines = (named[i] or actual[i] or default for i, default in enumerate(_DEFAULT_SIZE))
    return columns, lines


def _positive(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
