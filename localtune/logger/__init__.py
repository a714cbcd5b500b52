"""Loggers: callbacks that write the results of trials.

This package exports a fixed list of names. Any other logger is imported from its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.logger.base import LoggerCallback as LoggerCallback
    from localtune.logger.csv import CSVLogger as CSVLogger
    from localtune.logger.csv import CSVLoggerCallback as CSVLoggerCallback
    from localtune.logger.json import JsonLogger as JsonLogger
    from localtune.logger.json import JsonLoggerCallback as JsonLoggerCallback
    from localtune.logger.legacy import LegacyLoggerCallback as LegacyLoggerCallback
    from localtune.logger.legacy import Logger as Logger
    from localtune.logger.noop import NoopLogger as NoopLogger
    from localtune.logger.pretty import pretty_print as pretty_print
    from localtune.logger.tensorboard import TBXLoggerCallback as TBXLoggerCallback
    from localtune.logger.tensorboardx import TBXLogger as TBXLogger
    from localtune.logger.unified import UnifiedLogger as UnifiedLogger

_MODULES = {
    "CSVLogger": "logger.csv",
    "CSVLoggerCallback": "logger.csv",
    "JsonLogger": "logger.json",
    "JsonLoggerCallback": "logger.json",
    "LegacyLoggerCallback": "logger.legacy",
    "Logger": "logger.legacy",
    "LoggerCallback": "logger.base",
    "NoopLogger": "logger.noop",
    "TBXLogger": "logger.tensorboardx",
    "TBXLoggerCallback": "logger.tensorboard",
    "UnifiedLogger": "logger.unified",
    "pretty_print": "logger.pretty",
}

__all__ = [*sorted(_MODULES)]

# Old scripts write `loggers=DEFAULT_LOGGERS + (MyLogger,)`.
_FURTHER = {"DEFAULT_LOGGERS": "logger.unified"}

__getattr__ = lazy_names(__name__, {**_MODULES, **_FURTHER})
