"""Stands for ``ray.train.lightgbm``."""

from __future__ import annotations

from localtune.compat.faces import names_of
from localtune.integration.lightgbm import TuneReportCheckpointCallback as RayTrainReportCallback

__all__ = ["RayTrainReportCallback"]

__getattr__ = names_of("ray.train.lightgbm")
