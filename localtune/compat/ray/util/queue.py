"""Stands for ``ray.util.queue``."""

from __future__ import annotations

from localtune.compat.utilities import Queue as Queue
