"""HistoryLogger: what loggers have in common that keep the results of each trial in one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.logger.append_file import AppendFile, OpenFiles
from localtune.logger.base import LoggerCallback
from localtune.logger.history_file import History, HistoryFile
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)

HistoryOf: TypeAlias = "Callable[[Trial], Iterable[dict[str, Any]]]"


class HistoryLogger(LoggerCallback):
    """Keeps a file in each trial's directory as the trial's record says.

    Args:
        name: Name of the file.
        make_file: The class of the file.
    """

    fails_only_its_trial = True
    may_lag = True

    def __init__(
        self,
        name: str,
        make_file: Callable[[str, str, History, OpenFiles[AppendFile]], HistoryFile],
    ) -> None:
        self._name = name
        self._make_file = make_file
        self._history_of: HistoryOf = _nothing
        self._open_files = OpenFiles(AppendFile, limit=None)
        self._files: dict[str, HistoryFile] = {}  # {trial id: its file}

    def connect(self, history_of: HistoryOf) -> None:
        """Tells where the results on record are.

        Args:
            history_of: Called with a trial; returns its results, oldest first, with their configs.
        """
        self._history_of = history_of

    def mend(self, trial: Trial) -> None:
        """Brings the file of a trial that has no worker to its record.

        Raises:
            OSError: if a file cannot be written.
        """
        self._file_of(trial).start(trial.result_count)
        self._let_go(trial)

    def log_trial_start(self, trial: Trial) -> None:
        self._file_of(trial).start(trial.result_count)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        file = self._files.get(trial.trial_id) or self._file_of(trial)
        file.append(result, trial.result_count)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        try:
            self._file_of(trial).finish()
        finally:
            self._let_go(trial)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._file_of(trial).close()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        files, self._files = self._files, {}
        for file in files.values():
            try:
                file.finish()
            except OSError as error:
                logger.warning("%s is not complete, only the database is: %s", file.path, error)
        self._open_files.close_all()

    def _file_of(self, trial: Trial) -> HistoryFile:
        file = self._files.get(trial.trial_id)
        if file is None:
            path = os.path.join(trial.path, self._name)
            file = self._files[trial.trial_id] = self._make_file(
                path, trial.trial_id, lambda: self._history_of(trial), self._open_files
            )
        return file

    def _let_go(self, trial: Trial) -> None:
        self._files.pop(trial.trial_id).close()

    def __getstate__(self) -> dict[str, Any]:
        # Descriptors and databases mean nothing in a copy, nor what was seen through them.
        return {**self.__dict__, "_history_of": _nothing, "_files": {}}


def _nothing(trial: Trial) -> Iterable[dict[str, Any]]:
    return ()
