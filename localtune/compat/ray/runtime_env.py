"""Stands for ``ray.runtime_env``."""

from __future__ import annotations

from localtune.compat.utilities import RuntimeEnv as RuntimeEnv
