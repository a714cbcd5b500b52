"""CSVLoggerCallback: ``progress.csv`` of each trial."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from localtune.logger.append_file import AppendFile
from localtune.logger.trial_file_logger import TrialFileLogger
from localtune.result import EXPR_PROGRESS_FILE
from localtune.utils.csv_row import csv_row, row_writer
from localtune.utils.files import no_link

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial


class CSVLoggerCallback(TrialFileLogger["ProgressFile"]):
    """Writes each result, flat and without its config, as one row.

    The columns are the keys of a trial's first result: later new ones are left out, missing ones
    are empty.
    """

    def __init__(self) -> None:
        super().__init__(EXPR_PROGRESS_FILE, ProgressFile)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self.file_of(trial).append(csv_row(result))


class ProgressFile:
    """One CSV file. Made if it is missing; the columns of one that has rows are kept.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._file = AppendFile(path)
        self._text = io.StringIO(newline="")
        self._rows: csv.DictWriter[str] | None = None
        if not self._file.is_empty():
            self._rows = row_writer(self._text, _columns_of(path))

    def append(self, row: dict[str, Any]) -> None:
        """Adds a row; the first one comes with the header, in one piece.

        Raises:
            OSError: if that fails; the file may hold a part of the row then.
        """
        if self._rows is None:
            self._rows = row_writer(self._text, list(row))
            self._rows.writeheader()
        try:
            self._rows.writerow(row)
        except csv.Error:
            # Python 3.10 refuses to write NUL.
            self._rows.writerow({key: _without_nul(value) for key, value in row.items()})
        self._file.append(self._text.getvalue())
        self._text.seek(0)
        self._text.truncate()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _without_nul(value: Any) -> Any:
    return value if value is None else str(value).replace("\0", "\ufffd")


def _columns_of(path: str) -> list[str]:
    with open(path, encoding="utf-8", newline="", opener=no_link) as file:
        return next(csv.reader(file))
