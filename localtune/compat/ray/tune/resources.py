"""Stands for ``ray.tune.resources``."""

from __future__ import annotations

from localtune.compat.faces import names_of
from localtune.compat.old_resources import Resources as Resources

__getattr__ = names_of("ray.tune.resources", "localtune.resources")
