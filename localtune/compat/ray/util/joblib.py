"""Stands for ``ray.util.joblib``."""

from __future__ import annotations

from localtune.compat.pool import register_ray as register_ray
