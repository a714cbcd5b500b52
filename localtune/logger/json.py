"""JsonLoggerCallback: ``result.json``, ``params.json`` and ``params.pkl`` of each trial."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from localtune.logger.logger import LoggerCallback
from localtune.logger.trial_files import TrialFiles
from localtune.result import EXPR_PARAM_FILE, EXPR_PARAM_PICKLE_FILE, EXPR_RESULT_FILE
from localtune.utils.json_encode import dumps

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial


class JsonLoggerCallback(LoggerCallback):
    """Writes each result as one line of JSON, and the configuration as JSON and as a pickle."""

    def __init__(self) -> None:
        self._files = TrialFiles(EXPR_RESULT_FILE)

    def log_trial_start(self, trial: Trial) -> None:
        self._write_params(trial)
        self._files.open(trial.trial_id, trial.path)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self._files.append(trial.trial_id, trial.path, dumps(result) + "\n")

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._files.close(trial.trial_id)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._files.close_all()

    def _write_params(self, trial: Trial) -> None:
        text = dumps(trial.config, indent=2, sort_keys=True)
        with open(os.path.join(trial.path, EXPR_PARAM_FILE), "w", encoding="utf-8") as file:
            file.write(text)
        import cloudpickle

        with open(os.path.join(trial.path, EXPR_PARAM_PICKLE_FILE), "wb") as binary:
            binary.write(cloudpickle.dumps(trial.config))
