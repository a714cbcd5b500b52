"""Stands for what scripts use of ``ray._private``."""

from __future__ import annotations

from localtune.compat.faces import names_of

__getattr__ = names_of("ray._private")
