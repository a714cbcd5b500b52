"""Prints tables: with rich on a terminal, as plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from localtune.utils.messages import show
from localtune.utils.text import printable, shorten, text_width

_MAX_COLUMN = 44
_GAP = "  "


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: str = "") -> None:
    """Prints a table.

    On a terminal, rich fits the table into the width. A pipe or a file gets plain lines, and so
    does a terminal if rich is not installed.

    Args:
        titles: Headings. The first column names the row, and its cells are never cut.
        rows: Cells.
        numbers: Headings of the columns that hold numbers, separated by spaces.
    """
    headings = [printable(title) for title in titles]
    cells = [[_cell(text, place) for place, text in enumerate(row)] for row in rows]
    is_number = [title in numbers.split() for title in titles]
    if not (sys.stdout.isatty() and _print_with_rich(headings, cells, is_number)):
        _print_plain(headings, cells, is_number)


def _cell(text: str, place: int) -> str:
    text = printable(text)
    return text if place == 0 else shorten(text, _MAX_COLUMN, keep="ends")


def _print_plain(titles: list[str], rows: list[list[str]], is_number: list[bool]) -> None:
    widths = [max(map(text_width, column)) for column in zip(titles, *rows, strict=True)]
    for line in [titles, ["─" * width for width in widths], *rows]:
        padded = [
            f"{' ' * (width - text_width(text))}{text}"
            if right
            else f"{text}{' ' * (width - text_width(text))}"
            for text, width, right in zip(line, widths, is_number, strict=True)
        ]
        show(_GAP.join(padded).rstrip())


def _print_with_rich(titles: list[str], rows: list[list[str]], is_number: list[bool]) -> bool:
    """Prints the table with rich; returns False if rich is not installed."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, (title, right) in enumerate(zip(titles, is_number, strict=True)):
        table.add_column(
            Text(title),
            justify="right" if right else "left",
            no_wrap=place == 0 or right,
            overflow="fold",
        )
    for row in rows:
        # Text is never read as markup: names of others cannot set styles.
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False, emoji=False, legacy_windows=False).print(table)
    return True
