"""JupyterNotebookReporter: shows tables in the output of a notebook's cell."""

from __future__ import annotations

import html
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.progress_reporter.cli_reporter import CLIReporter
from localtune.progress_reporter.table import Column
from localtune.progress_reporter.table_reporter import Section
from localtune.utils.log import shows_in_notebooks
from localtune.utils.text import printable, printable_lines, shorten

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class JupyterNotebookReporter(CLIReporter):
    """Shows the state of a run as tables in a notebook. Elsewhere it prints them.

    Args:
        overwrite: Whether a report replaces the one before. Other output of the cell stays.

    All other arguments are those of :class:`CLIReporter`.
    """

    def __init__(
        self,
        *,
        overwrite: bool = True,
        metric_columns: Sequence[str] | Mapping[str, str] | None = None,
        parameter_columns: Sequence[str] | Mapping[str, str] | None = None,
        total_samples: int | None = None,
        max_progress_rows: int = 20,
        max_error_rows: int = 20,
        max_column_length: int = 20,
        max_report_frequency: float = 5,
        infer_limit: int = 3,
        print_intermediate_tables: bool | None = None,
        metric: str | None = None,
        mode: str | None = None,
        sort_by_metric: bool = False,
    ) -> None:
        super().__init__(
            metric_columns=metric_columns,
            parameter_columns=parameter_columns,
            total_samples=total_samples,
            max_progress_rows=max_progress_rows,
            max_error_rows=max_error_rows,
            max_column_length=max_column_length,
            max_report_frequency=max_report_frequency,
            infer_limit=infer_limit,
            print_intermediate_tables=print_intermediate_tables,
            metric=metric,
            mode=mode,
            sort_by_metric=sort_by_metric,
        )
        self._overwrites = overwrite
        self._shown: Any = None  # IPython's handle of this run's report

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().setup(start_time, total_samples, metric, mode, **kwargs)
        self._shown = None

    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        display = _notebook_display()
        if display is None:
            super().report(trials, done, *sys_info)
            return
        html = display.HTML(as_html(self.sections(trials, done, sys_info), self.max_column_length))
        if self._overwrites and self._shown is not None:
            self._shown.update(html)
        else:
            self._shown = display.display(html, display_id=True)


def as_html(sections: list[Section], max_column_width: int) -> str:
    """Returns the sections of a report as HTML.

    Args:
        sections: Texts and tables of the report.
        max_column_width: Largest number of characters in a cell; longer texts are cut, and shown
            in full on hover.
    """
    parts = [
        f"<p>{html.escape(printable_lines(section))}</p>"
        if isinstance(section, str)
        else _html_table(section, max_column_width)
        for section in sections
    ]
    # A wide table scrolls. The colours are those of the notebook's theme.
    return '<div style="overflow-x: auto">' + "".join(parts) + "</div>"


def _html_table(columns: list[Column], max_column_width: int) -> str:
    heading = "".join(f"<th>{html.escape(printable(column.title))}</th>" for column in columns)
    rows = [
        "".join(_html_cell(column, row, max_column_width) for column in columns)
        for row in range(len(columns[0].cells))
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>"


def _html_cell(column: Column, row: int, max_width: int) -> str:
    text = printable(column.cells[row][0])
    short = text if column.is_whole else shorten(text, max_width, keep=column.keep)
    title = f' title="{html.escape(text)}"' if short != text else ""
    align = ' style="text-align: right"' if column.is_number else ""
    return f"<td{title}{align}>{html.escape(short)}</td>"


def _notebook_display() -> Any:
    """Returns the module ``IPython.display``; None outside a notebook, or if it is switched off.

    A notebook has imported it already, so it is not imported here.
    """
    if not shows_in_notebooks():
        return None
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    # IPython in a terminal has no kernel, and cannot show HTML.
    return sys.modules.get("IPython.display") if hasattr(shell, "kernel") else None
