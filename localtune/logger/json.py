"""JsonLoggerCallback: ``result.json``, ``params.json`` and ``params.pkl`` of each trial."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from localtune.logger.append_file import AppendFile
from localtune.logger.trial_file_logger import TrialFileLogger
from localtune.result import EXPR_PARAM_FILE, EXPR_PARAM_PICKLE_FILE, EXPR_RESULT_FILE
from localtune.utils.files import write_file
from localtune.utils.json_encode import dumps
from localtune.utils.serialization import dumps_by_value

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial


class JsonLoggerCallback(TrialFileLogger[AppendFile]):
    """Writes each result as one line of JSON, and the configuration as JSON and as a pickle."""

    def __init__(self) -> None:
        super().__init__(EXPR_RESULT_FILE, AppendFile)

    def log_trial_start(self, trial: Trial) -> None:
        super().log_trial_start(trial)
        params = dumps(trial.config, indent=2, sort_keys=True)
        write_file(os.path.join(trial.path, EXPR_PARAM_FILE), params.encode(), sync=False)
        pickled = dumps_by_value(trial.config)
        write_file(os.path.join(trial.path, EXPR_PARAM_PICKLE_FILE), pickled, sync=False)
        self.file_of(trial)  # It exists from the start, if empty.

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self.file_of(trial).append(dumps(result) + "\n")
