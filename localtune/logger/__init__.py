"""Loggers: callbacks that write the results of trials.

This package exports a fixed list of names. Any other logger is imported from its own module.
"""

from __future__ import annotations

from localtune._lazy import lazy_names
from localtune.logger.base import LoggerCallback
from localtune.logger.csv import CSVLogger, CSVLoggerCallback
from localtune.logger.json import JsonLogger, JsonLoggerCallback
from localtune.logger.legacy import LegacyLoggerCallback, Logger
from localtune.logger.noop import NoopLogger
from localtune.logger.pretty_print import pretty_print
from localtune.logger.tensorboard import TBXLoggerCallback
from localtune.logger.tensorboardx import TBXLogger
from localtune.logger.unified import UnifiedLogger

__all__ = [
    "CSVLogger",
    "CSVLoggerCallback",
    "JsonLogger",
    "JsonLoggerCallback",
    "LegacyLoggerCallback",
    "Logger",
    "LoggerCallback",
    "NoopLogger",
    "TBXLogger",
    "TBXLoggerCallback",
    "UnifiedLogger",
    "pretty_print",
]

# Old scripts write `loggers=DEFAULT_LOGGERS + (MyLogger,)`.
__getattr__ = lazy_names(__name__, {"DEFAULT_LOGGERS": "logger.unified"})
