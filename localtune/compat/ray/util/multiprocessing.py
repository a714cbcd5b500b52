"""Stands for ``ray.util.multiprocessing``."""

from __future__ import annotations

from localtune.compat.utilities import Pool as Pool
