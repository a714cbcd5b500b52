"""Stands for ``ray.tune.syncer``."""

from __future__ import annotations

from localtune.compat.faces import names_of

__getattr__ = names_of("ray.tune.syncer", "localtune.syncer")
