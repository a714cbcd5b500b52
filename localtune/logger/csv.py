"""CSVLoggerCallback, and CSVLogger of the first interface: ``progress.csv`` of each trial."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from localtune.logger.history_file import HistoryFile
from localtune.logger.history_logger import HistoryLogger
from localtune.logger.legacy import Logger
from localtune.result import EXPR_PROGRESS_FILE
from localtune.trial.history_files import is_own_csv
from localtune.utils.csv_row import csv_row
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

    _columns: tuple[str, ...] | None = None  # of the file; None while it has no header
    _known: Mapping[str, None] = MappingProxyType({})  # columns that the file should have

    def _is_own(self) -> bool:
        return is_own_csv(self.path, self._trial_id)

    def _whole(self, results: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[str]:
        columns = dict.fromkeys(key for result in results() for key in csv_row(result))
        # Columns that only the next result has come last.
        self._known = {**columns, **self._known}
        self._columns = None
        if columns:
            self._columns = tuple(self._known)
            yield _header(self._columns)
            yield from (_line(csv_row(result), self._columns) for result in results())

    def _forget(self) -> None:
        self._known = {}

    def _addition(self, result: dict[str, Any]) -> str | None:
        row = csv_row(result)
        if not row.keys() <= self._known.keys():
            self._known = {**self._known, **dict.fromkeys(row)}
        if self._columns is None:
            self._columns = tuple(self._known)
            return _header(self._columns) + _line(row, self._columns)
        if 2 * len(self._columns) <= len(self._known):
            return None
        return _line(row, self._columns)

    def _is_complete(self) -> bool:
        return len(self._known) == len(self._columns or ())


# Most trials of a run have the same columns.
@functools.lru_cache(maxsize=16)
def _header(columns: tuple[str, ...]) -> str:
    """Returns the line with the names of the columns."""
    return _text_of(columns)


def _line(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Returns the line of a row: empty cells for missing keys, no cells for further keys."""
    return _text_of([row.get(name, "") for name in columns])


def _text_of(cells: Sequence[Any]) -> str:
    write: Any = csv.writer(_RETURNED).writerow
    try:
        line: str = write(cells)
    except csv.Error:
        # Python 3.10 refuses to write NUL.
        line = write([_without_nul(cell) for cell in cells])
    return line


class _Returned:
    """Stands for a file. A writer returns what the file's method returns: here, the text."""

    def write(self, text: str) -> str:
        return text


_RETURNED = _Returned()


def _without_nul(value: Any) -> Any:
    return value if value is None else str(value).replace("\0", "\ufffd")
