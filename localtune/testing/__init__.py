"""Tools for tests of localtune and of code that is built on it."""

from __future__ import annotations

from localtune.testing.clock import ManualClock

__all__ = ["ManualClock"]
