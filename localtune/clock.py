"""Where time comes from.

Everything that decides by time gets a Clock, so that tests and simulations can jump it.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time, in seconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. For durations."""

    def time(self) -> float:
        """Seconds since the Unix epoch; may step. For time stamps only."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()
