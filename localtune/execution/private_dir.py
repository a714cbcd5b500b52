"""The import path by which programs know the private directories of executors."""

from __future__ import annotations

from localtune.utils.private_dir import PREFIX, PrivateDir, sweep

__all__ = ["PREFIX", "PrivateDir", "sweep"]
