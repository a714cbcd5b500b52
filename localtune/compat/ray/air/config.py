"""Stands for ``ray.air.config``."""

from __future__ import annotations

from localtune import CheckpointConfig as CheckpointConfig
from localtune import FailureConfig as FailureConfig
from localtune import RunConfig as RunConfig
from localtune import SyncConfig as SyncConfig
from localtune.compat.faces import names_of
from localtune.compat.scaling_config import ScalingConfig as ScalingConfig

__getattr__ = names_of("ray.air.config")
