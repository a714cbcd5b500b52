"""LoggerCallback and the loggers of the first interface, under their path in Ray Tune."""

from localtune.logger.base import LoggerCallback as LoggerCallback
from localtune.logger.legacy import LegacyLoggerCallback as LegacyLoggerCallback
from localtune.logger.legacy import Logger as Logger
from localtune.logger.pretty import pretty_print as pretty_print
