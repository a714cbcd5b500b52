"""CSVLoggerCallback, and CSVLogger of the first interface: ``progress.csv`` of each trial."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from localtune.logger.history_file import HistoryFile
from localtune.logger.history_logger import HistoryLogger
from localtune.logger.legacy import Logger
from localtune.result import EXPR_PROGRESS_FILE
from localtune.trial.history_files import is_own_csv
from localtune.utils.csv_row import csv_row, row_writer
from localtune.utils.result_writers import CsvWriter

__all__ = ["CSVLoggerCallback"]


class CSVLoggerCallback(HistoryLogger):
    """Writes each result, flat and without its config, as one row.

    Each metric has a column. A metric that appears later gets its column when the number of
    columns would double, or when the trial ends. The file is then written anew.
    """

    def __init__(self) -> None:
        super().__init__(EXPR_PROGRESS_FILE, ProgressFile)


class CSVLogger(Logger):
    """Appends results to ``progress.csv`` in a directory. The first result decides the columns."""

    def _init(self) -> None:
        self._writer = CsvWriter(self.logdir)

    def on_result(self, result: dict[str, Any]) -> None:
        self._writer.add(result)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class ProgressFile(HistoryFile):
    """Holds each result as a row below a header, which is written with the first row."""

    _rows: _Rows | None = None  # makes the rows of the file; None while it has no header
    _known: Mapping[str, None] = MappingProxyType({})  # columns that the file should have

    def _is_own(self) -> bool:
        return is_own_csv(self.path, self._trial_id)

    def _whole(self, results: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[str]:
        columns = dict.fromkeys(key for result in results() for key in csv_row(result))
        # Columns that only the next result has come last.
        self._known = {**columns, **self._known}
        self._rows = None
        if columns:
            self._rows = _Rows(tuple(self._known))
            yield self._rows.header()
            yield from (self._rows.text_of(csv_row(result)) for result in results())

    def _forget(self) -> None:
        self._known = {}

    def _addition(self, result: dict[str, Any]) -> str | None:
        row = csv_row(result)
        if not row.keys() <= self._known.keys():
            self._known = {**self._known, **dict.fromkeys(row)}
        if self._rows is None:
            self._rows = _Rows(tuple(self._known))
            return self._rows.header() + self._rows.text_of(row)
        if 2 * len(self._rows.columns) <= len(self._known):
            return None
        return self._rows.text_of(row)

    def _is_complete(self) -> bool:
        return len(self._known) == (len(self._rows.columns) if self._rows is not None else 0)


class _Rows:
    """Formats rows as text.

    Attributes:
        columns: Names in the order of the file.
    """

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._text = io.StringIO(newline="")
        self._writer = row_writer(self._text, columns)

    def header(self) -> str:
        """Returns the line with the names of the columns."""
        return self.text_of({name: name for name in self.columns})

    def text_of(self, row: dict[str, Any]) -> str:
        self._text.seek(0)
        self._text.truncate()
        try:
            self._writer.writerow(row)
        except csv.Error:
            # Python 3.10 refuses to write NUL.
            self._writer.writerow({key: _without_nul(value) for key, value in row.items()})
        return self._text.getvalue()


def _without_nul(value: Any) -> Any:
    return value if value is None else str(value).replace("\0", "\ufffd")
