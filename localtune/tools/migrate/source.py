"""The text of a script, and small edits of it that leave all the rest as it is.

::

    nodes of ast (line, column in bytes) --> Source --> places in the text --> Edits --> new text
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# The lines of Python: a form feed does not end one.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


class Edit(NamedTuple):
    """Text to put in the place of ``text[start:end]``."""

    start: int
    end: int
    text: str


class Token(NamedTuple):
    """A token with its place in the text."""

    start: int
    end: int
    type: int
    string: str


@dataclass(frozen=True)
class Span:
    """A part of the text."""

    start: int
    end: int


class Source:
    """A script.

    Args:
        text: Its text.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: if it has null characters.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.newline = _newline_of(text)
        self._lines = _LINE.findall(text)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._tokens: list[Token] | None = None

    def offset(self, line: int, column_bytes: int) -> int:
        """Returns the place in the text of a position of ast.

        Args:
            line: From 1.
            column_bytes: In bytes of UTF-8, from 0.
        """
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        if text.isascii():
            return self._starts[line - 1] + column_bytes
        return self._starts[line - 1] + len(text.encode()[:column_bytes].decode(errors="ignore"))

    def span(self, node: ast.AST) -> Span:
        """Returns where a node stands."""
        return Span(
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def segment(self, node: ast.AST) -> str:
        """Returns the text of a node."""
        span = self.span(node)
        return self.text[span.start : span.end]

    def is_in_place(self, node: ast.expr) -> bool:
        """Returns whether the text at the node's position is the node.

        Before Python 3.12 the positions of what stands in an f-string are wrong.
        """
        try:
            there = ast.parse(f"({self.segment(node)}\n)", mode="eval").body
        except (SyntaxError, ValueError):
            return False
        return _dump(there) == _dump(node)

    def line_start(self, place: int) -> int:
        """Returns where the line of a place begins."""
        number = self._line_number(place)
        return self._starts[number]

    def line_number(self, place: int) -> int:
        """Returns the number of the line of a place, from 1."""
        return self._line_number(place) + 1

    def line_end(self, place: int) -> int:
        """Returns where the line of a place ends, with its newline."""
        return self._starts[self._line_number(place) + 1] if self._lines else 0

    def indentation(self, node: ast.AST) -> str:
        """Returns what stands before a statement in its line, as far as it is blank."""
        start = self.span(node).start
        before = self.text[self.line_start(start) : start]
        return before[: len(before) - len(before.lstrip())]

    def begins_line(self, place: int) -> bool:
        """Returns whether only blanks stand before a place in its line."""
        return not self.text[self.line_start(place) : place].strip()

    def ends_line(self, place: int) -> bool:
        """Returns whether only blanks and a comment follow a place in its line."""
        rest = self.text[place : self.line_end(place)].strip()
        return not rest or rest.startswith("#")

    def _line_number(self, place: int) -> int:
        low, high = 0, len(self._lines) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._starts[middle] <= place else (low, middle - 1)
        return low

    @property
    def tokens(self) -> list[Token]:
        """All tokens, without those that have no text."""
        if self._tokens is None:
            lines = iter(self._lines)
            self._tokens = [
                Token(self._at(each.start), self._at(each.end), each.type, each.string)
                for each in tokenize.generate_tokens(lambda: next(lines, ""))
                if each.string.strip()
            ]
        return self._tokens

    def _at(self, position: tuple[int, int]) -> int:
        line, column = position
        return self._starts[min(line - 1, len(self._starts) - 1)] + column

    def arguments(self, call: ast.Call) -> list[Span] | None:
        """Returns where the arguments of a call stand, in the order of the source.

        A span begins with the argument's first token, and ends with its last one.

        Args:
            call: The call.

        Returns:
            None if the tokens do not show them: in f-strings before Python 3.12.
        """
        end = self.span(call).end
        inside = self._inside(self.span(call.func).end, end)
        if inside is None:
            return None
        return [Span(part[0].start, part[-1].end) for part in _split(inside) if part]

    def _inside(self, start: int, end: int) -> list[Token] | None:
        """The tokens between the parentheses of a call whose function ends at ``start``."""
        within = [each for each in self.tokens if start <= each.start and each.end <= end]
        while within and within[0].string == ")":  # (function)(argument)
            within.pop(0)
        if len(within) < 2 or within[0].string != "(" or within[-1].string != ")":
            return None
        return [each for each in within[1:-1] if each.type != tokenize.COMMENT]

    def comma_after(self, span: Span) -> int | None:
        """Returns the end of the comma that follows a span, None if none follows."""
        for each in self.tokens:
            if each.start >= span.end and each.type != tokenize.COMMENT:
                return each.end if each.string == "," else None
        return None


def _split(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens between the commas that stand in no bracket."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for each in tokens:
        if each.string in ("(", "[", "{") and each.type == tokenize.OP:
            depth += 1
        elif each.string in (")", "]", "}") and each.type == tokenize.OP:
            depth -= 1
        if each.string == "," and not depth and each.type == tokenize.OP:
            parts.append([])
        else:
            parts[-1].append(each)
    return parts


def _newline_of(text: str) -> str:
    counts = {each: len(re.findall(each, text)) for each in ("\r\n", "(?<!\r)\n", "\r(?!\n)")}
    most = max(counts, key=lambda each: counts[each])
    return {"\r\n": "\r\n", "\r(?!\n)": "\r"}.get(most, "\n") if counts[most] else "\n"


def _dump(node: ast.AST) -> str:
    return ast.dump(node).replace("ctx=Store()", "ctx=Load()")


def applied(source: Source, edits: Iterable[Edit]) -> str:
    """Returns the text after some edits, which must not overlap.

    Args:
        source: The script.
        edits: Their texts have newlines as ``\\n``.
    """
    text = source.text
    # Of two insertions at one place, the first one comes first.
    ordered = sorted(enumerate(edits), key=lambda each: (each[1].start, each[1].end, each[0]))
    for _, edit in reversed(ordered):
        new = edit.text.replace("\n", source.newline)
        text = text[: edit.start] + new + text[edit.end :]
    return text


def place_before(source: Source, edits: Iterable[Edit], place: int) -> int:
    """Returns where a place of the text was before some edits.

    Args:
        source: The script before the edits.
        edits: The edits.
        place: A place in the text after them; in the text of an edit, it was where that begins.
    """
    shift = 0
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        length = len(edit.text.replace("\n", source.newline))
        if place < edit.start + shift:
            break
        if place < edit.start + shift + length:
            return edit.start
        shift += length - (edit.end - edit.start)
    return place - shift
