"""TrialFileLogger: base class of loggers that append to one file per trial."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from localtune.logger.append_file import F, OpenFiles
from localtune.logger.base import LoggerCallback

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class TrialFileLogger(LoggerCallback, Generic[F]):
    """Keeps the file of each trial open while the trial has a worker.

    The file of a paused trial stays open, too, until too many files are open: there is no hook
    for pauses.

    Args:
        name: Name of the file in each trial's directory.
        open_file: Opens the file at a path.
    """

    fails_only_its_trial = True

    def __init__(self, name: str, open_file: Callable[[str], F]) -> None:
        self._name = name
        self._files = OpenFiles(open_file)

    def file_of(self, trial: Trial) -> F:
        """Returns the open file of a trial."""
        return self._files.get(self._path(trial))

    def log_trial_start(self, trial: Trial) -> None:
        # The file may have been cut or replaced since the trial's last worker.
        self._close(trial)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._close(trial)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._close(trial)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._files.close_all()

    def _close(self, trial: Trial) -> None:
        self._files.close(self._path(trial))

    def _path(self, trial: Trial) -> str:
        return os.path.join(trial.path, self._name)
