"""UnifiedLogger: several loggers of the first interface as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.logger.csv import CSVLogger
from localtune.logger.event_file import load_tensorboardx
from localtune.logger.json import JsonLogger
from localtune.logger.legacy import Logger
from localtune.logger.tensorboardx import TBXLogger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class UnifiedLogger(Logger):
    """Passes each result to several loggers.

    Args:
        config: Resolved configuration of the trial.
        logdir: Directory of the trial.
        trial: The trial; None outside of a run.
        loggers: Classes of the loggers; None for JSON, CSV and, if tensorboardX is installed,
            TensorBoard.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as logdir:
        ...     logger = UnifiedLogger({"lr": 0.1}, logdir, loggers=[JsonLogger, CSVLogger])
        ...     logger.on_result({"loss": 0.5})
        ...     logger.close()
        ...     sorted(os.listdir(logdir))
        ['params.json', 'params.pkl', 'progress.csv', 'result.json']
    """

    def __init__(
        self,
        config: dict[str, Any],
        logdir: str,
        trial: Trial | None = None,
        loggers: Sequence[type[Logger]] | None = None,
    ) -> None:
        self._classes = default_loggers() if loggers is None else list(loggers)
        super().__init__(config, logdir, trial)

    def _init(self) -> None:
        self._loggers = [each(self.config, self.logdir, self.trial) for each in self._classes]

    def on_result(self, result: dict[str, Any]) -> None:
        for each in self._loggers:
            each.on_result(result)

    def flush(self) -> None:
        for each in self._loggers:
            each.flush()

    def close(self) -> None:
        for each in self._loggers:
            each.close()


def __getattr__(name: str) -> Any:
    if name == "DEFAULT_LOGGERS":  # whether tensorboardX is installed is found out when it is used
        return tuple(default_loggers())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def default_loggers() -> list[type[Logger]]:
    """Returns the classes for JSON, CSV and, if tensorboardX is installed, TensorBoard."""
    try:
        load_tensorboardx()
    except ExtraMissingError:
        return [JsonLogger, CSVLogger]
    return [JsonLogger, CSVLogger, TBXLogger]
