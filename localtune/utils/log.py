"""Levels of output, under the name that scripts import them by."""

from __future__ import annotations

from localtune.run_config import Verbosity

__all__ = ["Verbosity"]
