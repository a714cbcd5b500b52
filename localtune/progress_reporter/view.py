"""How lines get on a screen or into a log: View, and the view that only appends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from localtune.progress_reporter.line import Line, painted, plain
from localtune.progress_reporter.terminal import SafeStream, terminal_size
from localtune.utils.text import printable_lines

# Width of tables where no terminal limits it.
_LOG_WIDTH = 120
# Between the name of a trial and what it prints.
FOREIGN = " │ "


class View(ABC):
    """Shows lines that stay and, if it can, a frame that changes in place."""

    #: Whether frames are shown. Where not, nobody needs to build one.
    is_live = False

    @abstractmethod
    def print(self, line: Line) -> None:
        """Shows a line that stays, above the frame."""

    @abstractmethod
    def print_foreign(self, text: str, label: str) -> None:
        """Shows whole lines that somebody else wrote, with their colours and no other codes.

        Args:
            text: The lines.
            label: Whose they are: each line begins with it; may be empty.
        """

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(columns, lines) that there are now."""

    def draw(self, frame: list[Line]) -> None:  # noqa: B027 - only live views have a frame
        """Shows a frame in place of the one before."""

    def close(self) -> None:  # noqa: B027 - only live views hold anything
        """Leaves the latest frame as it is; what follows goes below it. Twice is fine."""


class PlainView(View):
    """Appends lines: for logs, for terminals without a movable cursor.

    Args:
        stream: Where to write.
        color: Whether to write the escape codes of styles.
        environ: Environment variables.
    """

    def __init__(self, stream: SafeStream, *, color: bool, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._text_of = painted if color else plain
        self._environ = environ

    def print(self, line: Line) -> None:
        # One write per line: other processes may write to the same terminal or file.
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
