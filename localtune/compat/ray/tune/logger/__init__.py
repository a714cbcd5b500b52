"""Stands for ``ray.tune.logger``."""

from __future__ import annotations

from localtune.compat.faces import names_of
from localtune.logger import CSVLogger, JsonLogger, TBXLogger

# Scripts add loggers to these.
DEFAULT_LOGGERS = (JsonLogger, CSVLogger, TBXLogger)

__getattr__ = names_of("ray.tune.logger", "localtune.logger")
