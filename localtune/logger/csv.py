"""CSVLoggerCallback: ``progress.csv`` of each trial."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any

from localtune.logger.logger import LoggerCallback
from localtune.logger.trial_files import TrialFiles
from localtune.result import EXPR_PROGRESS_FILE
from localtune.utils.csv_row import csv_row, row_writer

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial


class CSVLoggerCallback(LoggerCallback):
    """Writes each result, without its config and flat, as one row.

    The columns are the keys of a trial's first result: later new ones are left out, missing ones
    are empty.
    """

    def __init__(self) -> None:
        self._files = TrialFiles(EXPR_PROGRESS_FILE)
        self._rows: dict[str, _RowText] = {}  # {trial id: its columns}

    def log_trial_start(self, trial: Trial) -> None:
        # The file may have been cut back, or hold an earlier session's rows.
        self._files.close(trial.trial_id)
        self._rows.pop(trial.trial_id, None)
        columns = _columns_of(trial.path)
        if columns:
            self._rows[trial.trial_id] = _RowText(columns)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        row = csv_row(result)
        rows = self._rows.get(trial.trial_id)
        text = ""
        if rows is None:
            rows = self._rows[trial.trial_id] = _RowText(list(row))
            text = rows.header()
        self._files.append(trial.trial_id, trial.path, text + rows.text_of(row))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._files.close(trial.trial_id)
        self._rows.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._files.close_all()
        self._rows.clear()


class _RowText:
    """Turns rows with fixed columns into lines of CSV."""

    def __init__(self, columns: list[str]) -> None:
        self._buffer = io.StringIO(newline="")
        self._writer = row_writer(self._buffer, columns)

    def header(self) -> str:
        self._writer.writeheader()
        return self._take()

    def text_of(self, row: dict[str, Any]) -> str:
        self._writer.writerow(row)
        return self._take()

    def _take(self) -> str:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text


def _columns_of(trial_dir: str) -> list[str]:
    """Columns of the file that a trial has already, [] if it has none."""
    try:
        with open(
            os.path.join(trial_dir, EXPR_PROGRESS_FILE), encoding="utf-8", newline=""
        ) as file:
            return next(csv.reader(file), [])
    except FileNotFoundError:
        return []
