"""Stands for ``ray.train.huggingface.transformers``."""

from __future__ import annotations

from typing import Any

from localtune.compat.faces import names_of
from localtune.compat.transformers import RayTrainReportCallback as RayTrainReportCallback


def prepare_trainer(trainer: Any) -> Any:
    """Returns the trainer: it trains in the trial's process.

    Args:
        trainer: A trainer of Transformers.
    """
    return trainer


__getattr__ = names_of("ray.train.huggingface.transformers")
