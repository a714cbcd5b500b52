"""Stands for ``ray``."""

from __future__ import annotations

from localtune.compat.release import RAY_VERSION as __version__  # noqa: F401
