"""table_lines: tables of text that fit into a width."""

from __future__ import annotations

from dataclasses import dataclass, field

from localtune.progress_reporter.line import Line, Span
from localtune.utils.text import ELLIPSIS, shorten, text_width

_GAP = "  "
# A column that would be narrower than this is left out.
_MIN_WIDTH = 8


@dataclass(slots=True)
class Column:
    """One column of a table.

    Attributes:
        title: Heading of the column.
        cells: (text, style) of each row.
        rank: Columns with the highest rank are left out first. A column of rank 0 always stays.
        keep: Part of a long cell that is kept, see :func:`shorten`.
        is_number: Whether the cells are numbers, which are aligned right and never cut.
        is_whole: Whether long cells are shown in full, as paths are.
    """

    title: str
    cells: list[Span] = field(default_factory=list)
    rank: float = 0
    keep: str = "start"
    is_number: bool = False
    is_whole: bool = False

    @property
    def cell_width(self) -> int:
        """Width of the longest cell, in columns of the terminal."""
        return max((text_width(text) for text, _ in self.cells), default=0)


def table_lines(
    columns: list[Column], *, width: int | None = None, max_column_width: int = 20
) -> list[Line]:
    """Returns the lines of a table: the heading, a rule, and one line per row.

    Args:
        columns: The columns from left to right, with the same number of cells each.
        width: Columns of the terminal, at least 1. Columns that do not fit are left out, which an
            ellipsis in the heading shows. None leaves out none.
        max_column_width: Largest width of a column; longer texts are cut.
    """
    widths = [_width(column, max_column_width) for column in columns]
    kept = list(range(len(columns)))
    if width is not None:
        kept, widths = _fit(columns, widths, width)
    heading = [_heading(columns[i], widths[i]) for i in kept]
    if len(kept) < len(columns) and _total(widths, kept) + len(_GAP + ELLIPSIS) <= (width or 0):
        heading.append([(ELLIPSIS, "dim")])
    lines = [_line(heading), [(_GAP.join("─" * widths[i] for i in kept), "dim")]]
    for row in range(len(columns[0].cells)):
        lines.append(_line([_cell(columns[i].cells[row], columns[i], widths[i]) for i in kept]))
    return lines


def _width(column: Column, max_width: int) -> int:
    width = max(column.cell_width, text_width(column.title))
    return width if column.is_whole else min(width, max_width)


def _fit(columns: list[Column], widths: list[int], width: int) -> tuple[list[int], list[int]]:
    """Returns the positions of the columns that stay, and the widths of all columns."""
    kept = sorted(range(len(columns)), key=lambda i: columns[i].rank)
    narrowest = [
        min(width, max(column.cell_width, _MIN_WIDTH) if column.is_number else _MIN_WIDTH)
        for column, width in zip(columns, widths, strict=True)
    ]
    while len(kept) > 1 and _total(narrowest, kept) > width:
        kept.pop()
    kept.sort()
    widths = list(widths)
    while _total(widths, kept) > width:
        wide = [i for i in kept if widths[i] > narrowest[i]] or [i for i in kept if widths[i] > 1]
        # Headings are cut first, and the column that names the row last.
        widest = max(
            wide,
            key=lambda i: (columns[i].rank > 0, widths[i] > columns[i].cell_width, widths[i], i),
        )
        widths[widest] -= 1
    return kept, widths


def _total(widths: list[int], kept: list[int]) -> int:
    return sum(widths[i] for i in kept) + len(_GAP) * (len(kept) - 1)


def _heading(column: Column, width: int) -> Line:
    # The last part of a nested name matters most.
    title = shorten(column.title, width, keep="end")
    return _aligned((title, "bold"), column, width)


def _cell(span: Span, column: Column, width: int) -> Line:
    return _aligned((shorten(span[0], width, keep=column.keep), span[1]), column, width)


def _aligned(span: Span, column: Column, width: int) -> Line:
    padding = (" " * (width - text_width(span[0])), "")
    return [padding, span] if column.is_number else [span, padding]


def _line(cells: list[Line]) -> Line:
    line: Line = []
    for cell in cells:
        if line:
            line.append((_GAP, ""))
        line += cell
    while line and not line[-1][0].strip():
        line.pop()
    return line
