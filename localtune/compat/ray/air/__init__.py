"""Stands for ``ray.air``."""

from __future__ import annotations

from localtune import Checkpoint as Checkpoint
from localtune import CheckpointConfig as CheckpointConfig
from localtune import FailureConfig as FailureConfig
from localtune import Result as Result
from localtune import RunConfig as RunConfig
