"""The report callback of ``ray.train.lightning``."""

from __future__ import annotations

from localtune.integration.pytorch_lightning import TuneReportCheckpointCallback


class RayTrainReportCallback(TuneReportCheckpointCallback):
    """Reports all logged metrics, with a checkpoint, after each epoch of training."""

    def __init__(self) -> None:
        super().__init__(filename="checkpoint.ckpt", on="train_epoch_end")
