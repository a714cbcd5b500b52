"""Stands for ``ray.train.lightning``."""

from __future__ import annotations

from typing import Any

from localtune.compat.faces import names_of
from localtune.integration.pytorch_lightning import TuneReportCheckpointCallback


class RayTrainReportCallback(TuneReportCheckpointCallback):
    """Reports all logged metrics, with a checkpoint, after each epoch of training."""

    def __init__(self) -> None:
        super().__init__(filename="checkpoint.ckpt", on="train_epoch_end")


def prepare_trainer(trainer: Any) -> Any:
    """Returns the trainer: it trains in the trial's process.

    Args:
        trainer: A trainer of Lightning.
    """
    return trainer


__getattr__ = names_of("ray.train.lightning")
