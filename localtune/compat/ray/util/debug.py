"""Stands for ``ray.util.debug``."""

from __future__ import annotations

from localtune.compat.utilities import log_once as log_once
