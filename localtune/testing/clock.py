"""ManualClock: a clock that tests and simulations set."""

from __future__ import annotations

from localtune.clock import ManualClock

__all__ = ["ManualClock"]
