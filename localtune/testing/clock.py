"""A clock that tests and simulations move by hand."""

from __future__ import annotations

from localtune.clock import ManualClock

__all__ = ["ManualClock"]
