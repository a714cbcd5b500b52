"""Prints tables that fit the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from localtune.progress_reporter.line import plain
from localtune.progress_reporter.table import Column, table_lines
from localtune.utils.messages import show
from localtune.utils.text import printable

_MAX_COLUMN = 44


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: str = "") -> None:
    """Prints a table; on a terminal the last columns go if it is too narrow.

    Args:
        titles: Headings.
        rows: Cells.
        numbers: Headings of the columns that hold numbers, separated by spaces.
    """
    columns = [
        Column(
            printable(title),
            [(printable(row[place]), "") for row in rows],
            rank=place,
            keep="ends",
            is_number=title in numbers.split(),
            is_whole=place == 0,
        )
        for place, title in enumerate(titles)
    ]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(columns, width=width, max_column_width=_MAX_COLUMN):
        show(plain(line).rstrip())
