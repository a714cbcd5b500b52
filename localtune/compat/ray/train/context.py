"""Stands for ``ray.train.context``."""

from __future__ import annotations

from localtune.compat.train_context import TrainContext as TrainContext
from localtune.compat.train_context import get_context as get_context
