"""JsonLoggerCallback: ``result.json``, ``params.json`` and ``params.pkl`` of each trial.

JsonLogger of the first interface writes the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from localtune.logger.history_file import HistoryFile
from localtune.logger.history_logger import HistoryLogger
from localtune.logger.legacy import Logger
from localtune.result import EXPR_PARAM_FILE, EXPR_PARAM_PICKLE_FILE, EXPR_RESULT_FILE
from localtune.trial.history_files import is_own_json
from localtune.trial.own_files import write_own
from localtune.utils.json_encode import dumps, params_json
from localtune.utils.result_writers import JsonWriter
from localtune.utils.serialization import dumps_by_value

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["JsonLoggerCallback"]


class JsonFile(HistoryFile):
    """Holds each result as one line of JSON. The file exists from the start of the trial."""

    exists_from_start = True

    def _is_own(self) -> bool:
        return is_own_json(self.path, self._trial_id)

    def _whole(self, results: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[str]:
        return map(self._addition, results())

    def _addition(self, result: dict[str, Any]) -> str:
        return dumps(result) + "\n"


class JsonLoggerCallback(HistoryLogger):
    """Writes each result as one line of JSON, and the configuration as JSON and as a pickle."""

    def __init__(self) -> None:
        super().__init__(EXPR_RESULT_FILE, JsonFile)

    def log_trial_start(self, trial: Trial) -> None:
        write_own(trial, EXPR_PARAM_FILE, params_json(trial.config))
        write_own(trial, EXPR_PARAM_PICKLE_FILE, dumps_by_value(trial.config))
        super().log_trial_start(trial)


class JsonLogger(Logger):
    """Appends results to ``result.json`` in a directory, beside the files of the configuration."""

    def _init(self) -> None:
        self._writer = JsonWriter(self.config, self.logdir)

    def on_result(self, result: dict[str, Any]) -> None:
        self._writer.add(result)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
