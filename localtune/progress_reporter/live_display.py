"""LiveDisplay: a frame that changes in place, drawn by rich."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO, cast

from localtune.error import ExtraMissingError
from localtune.progress_reporter.display import FOREIGN, Display
from localtune.progress_reporter.line import Line
from localtune.progress_reporter.terminal import SafeStream, is_terminal, terminal_size, wants_color
from localtune.utils.text import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text


class LiveDisplay(Display):
    """Draws frames at the bottom of a terminal, and prints lines above them.

    While a frame is shown, the prints of this process go above it, too. The cursor is never
    hidden, so that a killed run cannot leave a terminal without a cursor.

    Args:
        stream: A terminal with a movable cursor.
        environ: Environment variables.

    Raises:
        ExtraMissingError: if rich is not installed.
    """

    is_live = True

    def __init__(self, stream: TextIO, *, environ: Mapping[str, str]) -> None:
        self._stream = SafeStream(stream)
        self._environ = environ
        self._console = _console(self._stream, environ)
        # If the frame is on the standard output, prints of this process must go above it.
        self._is_stdout = stream is sys.stdout
        self._live: Live | None = None

    def size(self) -> tuple[int, int]:
        return terminal_size(self._stream, self._environ)

    def print(self, line: Line) -> None:
        self._console.size = self.size()
        # A long line wraps and is not cut.
        self._console.print(_text(line), soft_wrap=True, highlight=False)

    def print_foreign(self, text: str, label: str) -> None:
        from rich.text import Text

        self._console.size = self.size()
        lines = text.removesuffix("\n").split("\n")
        # Codes that move the cursor would damage the frame. Only colours are kept.
        shown = [Text.from_ansi(printable_lines(line, colors=True)) for line in lines]
        if label:
            begin = Text.assemble((label, "bold"), (FOREIGN, "dim"))
            shown = [begin + line for line in shown]
        self._console.print(Text("\n").join(shown), soft_wrap=True, highlight=False)

    def draw(self, frame: list[Line]) -> None:
        self._console.size = self.size()
        if self._live is None:
            self._live = self._start()
        self._live.update(_joined(frame), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start(self) -> Live:
        from rich.live import Live

        live = Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=self._is_stdout,
            redirect_stderr=self._is_stdout and is_terminal(sys.stderr),
        )
        live.start()
        return live


def _console(stream: SafeStream, environ: Mapping[str, str]) -> Console:
    try:
        from rich.console import Console
    except ImportError as error:
        raise ExtraMissingError("rich", "rich", "The live view of a run") from error

    class SteadyConsole(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    return SteadyConsole(
        file=cast("TextIO", stream),
        force_terminal=True,
        force_jupyter=False,
        no_color=not wants_color(environ),
        _environ=environ,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _text(line: Line) -> Text:
    from rich.text import Text

    return Text.assemble(*((printable(text), style) for text, style in line))


def _joined(frame: list[Line]) -> Text:
    from rich.text import Text

    text = Text("\n").join(_text(line) for line in frame)
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
