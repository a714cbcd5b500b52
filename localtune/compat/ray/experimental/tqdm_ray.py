"""Stands for ``ray.experimental.tqdm_ray``."""

from __future__ import annotations

from localtune.compat.utilities import tqdm as tqdm

safe_print = print
