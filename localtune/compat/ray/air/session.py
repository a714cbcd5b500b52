"""Stands for ``ray.air.session``."""

from __future__ import annotations

from localtune import get_checkpoint as get_checkpoint
from localtune import report as report
