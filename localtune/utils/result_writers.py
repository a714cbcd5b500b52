"""Writers of the result files of one trainable that no run keeps files for.

The loggers of a run write the same files from the experiment's database, see ``localtune.logger``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from localtune.result import (
    EXPR_PARAM_FILE,
    EXPR_PARAM_PICKLE_FILE,
    EXPR_PROGRESS_FILE,
    EXPR_RESULT_FILE,
)
from localtune.utils.files import no_link
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    import csv
    from collections.abc import Mapping
    from typing import TextIO

logger = get_logger(__name__)


class JsonWriter:
    """Appends results to ``result.json``; writes ``params.json`` and ``params.pkl`` at once.

    Args:
        config: Hyperparameters.
        logdir: Directory of the files; made if missing.
    """

    def __init__(self, config: Mapping[str, Any], logdir: str) -> None:
        os.makedirs(logdir, exist_ok=True)
        self._write_params(config, logdir)
        self._file = _open_to_append(os.path.join(logdir, EXPR_RESULT_FILE))

    def add(self, result: Mapping[str, Any]) -> None:
        """Appends a nested result as one line."""
        from localtune.utils.json_encode import dumps

        self._file.write(dumps(result) + "\n")
        self._file.flush()

    def flush(self) -> None:
        """Passes the buffered content to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write_params(self, config: Mapping[str, Any], logdir: str) -> None:
        import cloudpickle

        from localtune.utils.json_encode import dumps

        path = os.path.join(logdir, EXPR_PARAM_FILE)
        with open(path, "w", encoding="utf-8", newline="", opener=no_link) as text_file:
            text_file.write(dumps(config, indent=2, sort_keys=True))
        path = os.path.join(logdir, EXPR_PARAM_PICKLE_FILE)
        with open(path, "wb", opener=no_link) as pickle_file:
            cloudpickle.dump(config, pickle_file)


class CsvWriter:
    """Appends results to ``progress.csv``. The keys of the first result are the columns.

    Args:
        logdir: Directory of the file; made if missing. A file that is there is continued.
    """

    def __init__(self, logdir: str) -> None:
        os.makedirs(logdir, exist_ok=True)
        self._path = os.path.join(logdir, EXPR_PROGRESS_FILE)
        self._file: TextIO | None = None
        self._rows: csv.DictWriter[str] | None = None
        self._without_column: set[str] = set()  # keys that a warning has named

    def add(self, result: Mapping[str, Any]) -> None:
        """Appends a result as a row, flat and without its config."""
        from localtune.utils.csv_row import csv_row

        row = csv_row(result)
        if self._rows is None:
            self._begin(list(row))
        assert self._rows is not None and self._file is not None
        new = [key for key in row if key not in self._rows.fieldnames]
        if not self._without_column.issuperset(new):
            self._without_column.update(new)
            logger.warning(
                "%s has no column for %s: its columns are the keys of the first result.",
                self._path,
                ", ".join(map(repr, new)),
            )
        self._rows.writerow(row)
        self._file.flush()

    def flush(self) -> None:
        """Passes the buffered content to the operating system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _begin(self, columns: list[str]) -> None:
        from localtune.utils.csv_row import row_writer

        earlier = self._earlier_columns()
        self._file = _open_to_append(self._path)
        self._rows = row_writer(self._file, earlier or columns)
        if not earlier:
            self._rows.writeheader()

    def _earlier_columns(self) -> list[str]:
        import csv

        try:
            with open(self._path, encoding="utf-8", newline="", opener=no_link) as file:
                return next(csv.reader(file), [])
        except FileNotFoundError:
            return []


def _open_to_append(path: str) -> TextIO:
    return open(path, "a", encoding="utf-8", newline="", errors="backslashreplace", opener=no_link)
