"""Writes the result files of a trainable that runs outside of any experiment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from localtune.config.run import DEFAULT_STORAGE_PATH
from localtune.result import (
    EXPR_PARAM_FILE,
    EXPR_PARAM_PICKLE_FILE,
    EXPR_PROGRESS_FILE,
    EXPR_RESULT_FILE,
)
from localtune.utils.files import no_link
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    import csv
    from typing import TextIO


class ResultFiles:
    """Writes ``params.json``, ``params.pkl``, ``result.json`` and ``progress.csv``.

    It makes a new directory, named by the date, below ``DEFAULT_STORAGE_PATH``.

    Args:
        config: Config of the trainable.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        import tempfile

        parent = os.path.expanduser(DEFAULT_STORAGE_PATH)
        os.makedirs(parent, exist_ok=True)
        self.logdir = tempfile.mkdtemp(prefix=date_str(), dir=parent)
        self._write_params(config)
        self._json_file = self._open(EXPR_RESULT_FILE)
        self._csv_file: TextIO | None = None
        self._rows: csv.DictWriter[str] | None = None

    def on_result(self, result: dict[str, Any]) -> None:
        """Appends the result of one iteration to the files."""
        from localtune.utils.csv_row import csv_row, row_writer
        from localtune.utils.json_encode import dumps

        self._json_file.write(dumps(result) + "\n")
        row = csv_row(result)
        if self._csv_file is None or self._rows is None:
            self._csv_file = self._open(EXPR_PROGRESS_FILE)
            self._rows = row_writer(self._csv_file, list(row))
            self._rows.writeheader()
        self._rows.writerow(row)
        self.flush()

    def flush(self) -> None:
        """Passes the buffered content to the operating system."""
        self._json_file.flush()
        if self._csv_file is not None:
            self._csv_file.flush()

    def close(self) -> None:
        """Closes the files."""
        self._json_file.close()
        if self._csv_file is not None:
            self._csv_file.close()

    def _open(self, name: str) -> TextIO:
        path = os.path.join(self.logdir, name)
        return open(path, "w", encoding="utf-8", newline="", opener=no_link)

    def _write_params(self, config: dict[str, Any]) -> None:
        import cloudpickle

        from localtune.utils.json_encode import dumps

        with self._open(EXPR_PARAM_FILE) as text_file:
            text_file.write(dumps(config, indent=2, sort_keys=True))
        with open(os.path.join(self.logdir, EXPR_PARAM_PICKLE_FILE), "wb") as pickle_file:
            cloudpickle.dump(config, pickle_file)
