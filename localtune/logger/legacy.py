"""Logger: loggers that are created for each trial, the first interface of Ray Tune."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from localtune.logger.base import LoggerCallback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localtune.trial.trial import Trial

__all__ = ["LegacyLoggerCallback", "Logger"]


class Logger:
    """Base class of loggers that serve one trial. Override ``on_result``.

    Args:
        config: Resolved configuration of the trial.
        logdir: Directory of the trial.
        trial: The trial; None outside of a run.
    """

    def __init__(self, config: dict[str, Any], logdir: str, trial: Trial | None = None) -> None:
        self.config = config
        self.logdir = logdir
        self.trial = trial
        self._init()

    def _init(self) -> None:
        """Initialises a subclass; called at the end of the constructor."""

    def on_result(self, result: dict[str, Any]) -> None:
        """Logs a nested result of the trial."""
        raise NotImplementedError(f"{type(self).__name__} must implement on_result(result).")

    def flush(self) -> None:
        """Flushes the logger; called when the trial has saved or loaded a checkpoint."""

    def close(self) -> None:
        """Closes the logger; called when the trial ends or restarts, or the experiment ends."""


class LegacyLoggerCallback(LoggerCallback):
    """Creates loggers for each trial that starts. New code should derive from ``LoggerCallback``.

    A run replaces ``CSVLogger``, ``JsonLogger``, ``TBXLogger`` and ``UnifiedLogger`` by the
    callbacks that write the same files.

    Args:
        logger_classes: Subclasses of ``Logger``, or other callables with the arguments
            ``(config, logdir, trial)``.

    Raises:
        TypeError: for an object that cannot be called, such as a logger in place of its class.
    """

    def __init__(self, logger_classes: Iterable[type[Logger]]) -> None:
        self._classes = list(logger_classes)
        for each in self._classes:
            if not callable(each):
                raise TypeError(f"logger_classes must hold classes, but got {each!r}.")
        self._loggers: dict[str, list[Logger]] = {}  # {trial id: its loggers}

    @property
    def logger_classes(self) -> list[type[Logger]]:
        """The classes of the loggers; a copy."""
        return list(self._classes)

    def only(self, logger_classes: Iterable[type[Logger]]) -> LegacyLoggerCallback:
        """Returns a copy for other loggers.

        Args:
            logger_classes: As for the constructor.
        """
        other = copy.copy(self)
        other._classes = list(logger_classes)
        other._loggers = {}
        return other

    def log_trial_start(self, trial: Trial) -> None:
        self._close(trial.trial_id)
        self._loggers[trial.trial_id] = [
            each(trial.config, trial.path, trial) for each in self._classes
        ]

    def log_trial_restore(self, trial: Trial) -> None:
        self._flush(trial)

    def log_trial_save(self, trial: Trial) -> None:
        self._flush(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        for logger in self._loggers[trial.trial_id]:
            logger.on_result(result)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._close(trial.trial_id)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        for trial_id in list(self._loggers):
            self._close(trial_id)

    def _flush(self, trial: Trial) -> None:
        for logger in self._loggers.get(trial.trial_id, ()):
            logger.flush()

    def _close(self, trial_id: str) -> None:
        for logger in self._loggers.pop(trial_id, ()):
            logger.close()
