"""Display: shows lines on a screen or in a log; and LogDisplay, which only appends lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from localtune.progress_reporter.line import Line, painted, plain
from localtune.progress_reporter.terminal import SafeStream, terminal_size
from localtune.utils.text import printable_lines

# Width of tables in a log, in columns.
_LOG_WIDTH = 120
# Separates the name of a trial from the text that it prints.
FOREIGN = " │ "


class Display(ABC):
    """Base class of displays, which show lines that stay and possibly a frame that changes."""

    #: Whether frames are shown. Otherwise they need not be built.
    is_live = False

    @abstractmethod
    def print(self, line: Line) -> None:
        """Shows a line that stays, above the frame."""

    @abstractmethod
    def print_foreign(self, text: str, label: str) -> None:
        """Shows lines that another process has printed, with colours but no other escape codes.

        Args:
            text: Whole lines.
            label: Name of the process, at the start of each line; may be empty.
        """

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Returns the current (columns, lines)."""

    def draw(self, frame: list[Line]) -> None:  # noqa: B027 - only live displays have a frame
        """Shows a frame in place of the one before."""

    def close(self) -> None:  # noqa: B027 - only live displays need it
        """Ends the frame, so that further lines go below it. May be called twice."""


class LogDisplay(Display):
    """Appends lines to a log, or to a terminal without a movable cursor.

    Args:
        stream: The stream to write to.
        color: Whether to write the escape codes of styles.
        environ: Environment variables.
    """

    def __init__(self, stream: SafeStream, *, color: bool, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._text_of = painted if color else plain
        self._environ = environ

    def print(self, line: Line) -> None:
        # Each line is one write, because other processes may write to the same stream.
        self._stream.write(self._text_of(line) + "\n")
        self._stream.flush()

    def print_foreign(self, text: str, label: str) -> None:
        begin = f"{label}{FOREIGN}" if label else ""
        lines = printable_lines(text.removesuffix("\n"), colors=True).split("\n")
        self._stream.write("".join(f"{begin}{line}\n" for line in lines))
        self._stream.flush()

    def size(self) -> tuple[int, int]:
        columns, lines = terminal_size(self._stream, self._environ)
        if self._stream.isatty() or self._environ.get("COLUMNS"):
            return columns, lines
        return _LOG_WIDTH, lines
