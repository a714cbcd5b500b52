"""Writes the result files of a trainable that runs outside of any experiment."""

from __future__ import annotations

import os
from typing import Any

from localtune.config.run import DEFAULT_STORAGE_PATH
from localtune.utils.result_writers import CsvWriter, JsonWriter
from localtune.utils.timing import date_str


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
        self._writers = (JsonWriter(config, self.logdir), CsvWriter(self.logdir))

    def on_result(self, result: dict[str, Any]) -> None:
        """Appends the result of one iteration to the files."""
        for writer in self._writers:
            writer.add(result)

    def flush(self) -> None:
        """Passes the buffered content to the operating system."""
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers:
            writer.close()
