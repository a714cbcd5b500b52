"""Levels of output, under the name that scripts import them by."""

from __future__ import annotations

from localtune.config.run import Verbosity

__all__ = ["Verbosity"]
