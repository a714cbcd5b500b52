"""Stands for ``ray.train.lightning``."""

from __future__ import annotations

from typing import Any

from localtune.compat.faces import names_of
from localtune.compat.lightning import RayTrainReportCallback as RayTrainReportCallback


def prepare_trainer(trainer: Any) -> Any:
    """Returns the trainer: it trains in the trial's process.

    Args:
        trainer: A trainer of Lightning.
    """
    return trainer


__getattr__ = names_of("ray.train.lightning")
