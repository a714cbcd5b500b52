"""Stands for ``ray.train``."""

from __future__ import annotations

from localtune import Checkpoint as Checkpoint
from localtune import CheckpointConfig as CheckpointConfig
from localtune import FailureConfig as FailureConfig
from localtune import Result as Result
from localtune import RunConfig as RunConfig
from localtune import SyncConfig as SyncConfig
from localtune import get_checkpoint as get_checkpoint
from localtune import get_context as get_context
from localtune import report as report
