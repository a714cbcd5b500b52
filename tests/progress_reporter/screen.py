"""A small terminal, which shows the text that a program writes."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[(?P<args>[?\d;]*)(?P<code>[A-Za-z])|(?P<char>.)", re.DOTALL)


class Screen:
    """Lines and columns, a cursor, and the lines that have scrolled out at the top.

    Knows what live output uses: carriage return, line feed, cursor up, erase, styles. Fails on
    anything else.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.columns = columns
        self._height = lines
        self._rows = [""] * lines
        self._row = self._column = 0
        self.scrolled: list[str] = []
        self.cursor_is_visible = True

    def feed(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            if token["code"]:
                self._control(token["code"], token["args"])
            else:
                self._write(token["char"])

    @property
    def lines(self) -> list[str]:
        """The visible lines without the empty ones at the end."""
        lines = [row.rstrip() for row in self._rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        """All that can be seen when scrolling up."""
        return "\n".join([*self.scrolled, *self.lines])

    @property
    def cursor_column(self) -> int:
        return self._column

    def _write(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            # As a terminal driver does it: line feed starts a new line.
            self._column = 0
            self._feed_line()
        else:
            assert char >= " ", repr(char)
            if self._column == self.columns:
                self._column = 0
                self._feed_line()
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + char + row[self._column + 1 :]
            self._column += 1

    def _feed_line(self) -> None:
        if self._row + 1 == self._height:
            self.scrolled.append(self._rows.pop(0).rstrip())
            self._rows.append("")
        else:
            self._row += 1

    def _control(self, code: str, args: str) -> None:
        if code == "A":
            self._row = max(self._row - int(args or 1), 0)
        elif code == "K":
            assert args == "2", args
            self._rows[self._row] = ""
        elif code in "hl":
            assert args == "?25", args
            self.cursor_is_visible = code == "h"
        else:
            assert code == "m", (code, args)


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def screen(self, columns: int = 80, lines: int = 24) -> Screen:
        """What is seen of all that was written."""
        screen = Screen(columns, lines)
        screen.feed(self.getvalue())
        return screen
