"""CLIReporter: prints tables to the standard output every few seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from localtune.progress_reporter.line import plain
from localtune.progress_reporter.table import table_lines
from localtune.progress_reporter.table_reporter import Section, TuneReporterBase
from localtune.progress_reporter.terminal import SafeStream
from localtune.utils.text import printable_lines

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class CLIReporter(TuneReporterBase):
    """Prints the state of a run as plain tables, one below the other.

    Example:
        >>> reporter = CLIReporter(metric_columns=["loss"], max_report_frequency=30)
        >>> reporter.add_metric_column("val/accuracy", "accuracy")
    """

    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        sections: list[Section] = ["== Status ==", *self.sections(trials, done, sys_info)]
        stream = SafeStream(sys.stdout)
        stream.write(as_text(sections, self.max_column_length) + "\n\n")
        stream.flush()


def as_text(sections: list[Section], max_column_width: int) -> str:
    """Returns the sections of a report as one text.

    Args:
        sections: Texts and tables of the report.
        max_column_width: Largest number of characters in a cell; longer texts are cut.
    """
    lines: list[str] = []
    for section in sections:
        if isinstance(section, str):
            lines.append(printable_lines(section))
        else:
            lines += map(plain, table_lines(section, max_column_width=max_column_width))
    return "\n".join(lines)
