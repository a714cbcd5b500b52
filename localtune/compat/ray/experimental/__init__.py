"""Stands for what scripts use of ``ray.experimental``."""

from __future__ import annotations

from localtune.compat.faces import names_of

__getattr__ = names_of("ray.experimental")
