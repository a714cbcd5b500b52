"""Offers the verbosity levels under the import path that scripts use."""

from __future__ import annotations

from localtune.config.run import Verbosity

__all__ = ["Verbosity"]
