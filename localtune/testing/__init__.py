"""What tests of localtune, and of code built on it, can use."""

from __future__ import annotations

from localtune.testing.clock import ManualClock

__all__ = ["ManualClock"]
