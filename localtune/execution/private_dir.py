"""Where an executor keeps what its processes read: settings, program, crashes."""

from __future__ import annotations

from localtune.utils.private_dir import PREFIX, PrivateDir, sweep

__all__ = ["PREFIX", "PrivateDir", "sweep"]
