"""Loggers: callbacks that write the results of trials.

This package exports a fixed list of names. Any other logger is imported from its own module.
"""

from __future__ import annotations

from localtune.logger.base import LoggerCallback
from localtune.logger.csv import CSVLoggerCallback
from localtune.logger.json import JsonLoggerCallback
from localtune.logger.legacy import LegacyLoggerCallback, Logger
from localtune.logger.pretty_print import pretty_print
from localtune.logger.tensorboard import TBXLoggerCallback

__all__ = [
    "CSVLoggerCallback",
    "JsonLoggerCallback",
    "LegacyLoggerCallback",
    "Logger",
    "LoggerCallback",
    "TBXLoggerCallback",
    "pretty_print",
]
