"""Stands for ``ray.train.xgboost``."""

from __future__ import annotations

from localtune.compat.faces import names_of
from localtune.integration.xgboost import TuneReportCheckpointCallback as RayTrainReportCallback

__all__ = ["RayTrainReportCallback"]

__getattr__ = names_of("ray.train.xgboost")
