"""Stands for ``ray.train``: what trials use of it."""

from __future__ import annotations

from localtune import Checkpoint as Checkpoint
from localtune import CheckpointConfig as CheckpointConfig
from localtune import FailureConfig as FailureConfig
from localtune import Result as Result
from localtune import RunConfig as RunConfig
from localtune import SyncConfig as SyncConfig
from localtune import get_checkpoint as get_checkpoint
from localtune.compat.faces import names_of
from localtune.compat.scaling_config import ScalingConfig as ScalingConfig
from localtune.compat.train_context import get_context as get_context
from localtune.compat.train_context import report as report

TRAIN_DATASET_KEY = "train"


def is_v2_enabled() -> bool:
    """Returns whether trainers are those of the second generation; there are none."""
    return False


__getattr__ = names_of("ray.train")
