"""Stands for ``ray.types``."""

from __future__ import annotations

from localtune.compat.objects import ObjectRef as ObjectRef
