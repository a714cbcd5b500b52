"""The loggers of the first interface in a run: loggers of today write the same files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.logger.csv import CSVLogger, CSVLoggerCallback
from localtune.logger.json import JsonLogger, JsonLoggerCallback
from localtune.logger.legacy import LegacyLoggerCallback, Logger
from localtune.logger.noop import NoopLogger
from localtune.logger.tensorboard import TBXLoggerCallback
from localtune.logger.tensorboardx import TBXLogger
from localtune.logger.unified import UnifiedLogger, default_loggers

if TYPE_CHECKING:
    from localtune.callback import Callback

_OF_TODAY: dict[type[Logger], type[Callback]] = {
    CSVLogger: CSVLoggerCallback,
    JsonLogger: JsonLoggerCallback,
    TBXLogger: TBXLoggerCallback,
}


def with_loggers_of_today(callbacks: Sequence[Callback]) -> list[Callback]:
    """Replaces the loggers of the first interface, except those that users wrote.

    An old logger and the one of today would write into the same files, and only the latter keeps
    them right when a trial is retried or resumed.

    Args:
        callbacks: The user's callbacks.

    Returns:
        The callbacks, followed by the loggers that take the place of old ones.
    """
    kept: list[Callback] = []
    wanted: dict[type[Callback], None] = {}
    for callback in callbacks:
        if isinstance(callback, LegacyLoggerCallback):
            classes = _without_unions(callback.logger_classes)
            wanted.update(dict.fromkeys(_OF_TODAY[each] for each in classes if each in _OF_TODAY))
            callback = callback.only([each for each in classes if each not in _OF_TODAY])
        kept.append(callback)
    return kept + [
        each() for each in wanted if not any(isinstance(callback, each) for callback in kept)
    ]


def files_of_users(callbacks: Sequence[Callback]) -> set[type[Callback]]:
    """Returns the loggers of today whose files are written by a logger that a user derived.

    Args:
        callbacks: All callbacks that are not automatic.
    """
    classes = [
        each
        for callback in callbacks
        if isinstance(callback, LegacyLoggerCallback)
        for each in callback.logger_classes
    ]
    return {
        today
        for old, today in _OF_TODAY.items()
        if any(isinstance(each, type) and issubclass(each, old) for each in classes)
    }


def _without_unions(classes: Sequence[type[Logger]]) -> list[type[Logger]]:
    found: list[type[Logger]] = []
    for each in classes:
        if each is UnifiedLogger:
            found += default_loggers()
        elif each is not NoopLogger:
            found.append(each)
    return found
