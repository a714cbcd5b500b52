"""Where time comes from.

Everything that decides by time gets a Clock, so that tests and simulations can jump it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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


class AwakeClock(SystemClock):
    """The machine's clocks, without the time that it slept or this process was stopped.

    A run reads the clock several times a second. What lies between two readings that are much
    further apart is no time in which trials ran: a budget must not end, and a step not be late,
    because somebody closed a laptop.

    Args:
        read: Where the time comes from, in seconds.
    """

    # More than the longest time for which a run is busy with something else than its loop.
    LONGEST_GAP_S = 60.0

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._last_s = read()
        self._slept_s = 0.0

    def monotonic(self) -> float:
        now_s = self._read()
        self._slept_s += max(now_s - self._last_s - self.LONGEST_GAP_S, 0.0)
        self._last_s = now_s
        return now_s - self._slept_s


class ManualClock:
    """Clock that stands still until it is told to move, for tests and simulations.

    It is a :class:`Clock`. Both of its readings move together.

    Args:
        start_s: First reading of ``time()``, in seconds since the Unix epoch; ``monotonic()``
            starts at 0.

    Example:
        >>> clock = ManualClock(start_s=1_000.0)
        >>> clock.advance(2.5)
        >>> clock.monotonic(), clock.time()
        (2.5, 1002.5)
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._start_s = start_s
        self._passed_s = 0.0

    def monotonic(self) -> float:
        return self._passed_s

    def time(self) -> float:
        return self._start_s + self._passed_s

    def advance(self, duration_s: float) -> None:
        """Let time pass.

        Args:
            duration_s: Seconds to move forward.

        Raises:
            ValueError: ``duration_s`` is negative or not a number.
        """
        if not duration_s >= 0:
            raise ValueError(f"duration_s must be at least 0, but got {duration_s}.")
        self._passed_s += duration_s

    def advance_to(self, reading_s: float) -> None:
        """Let time pass until ``monotonic()`` shows ``reading_s``.

        Args:
            reading_s: Seconds since the start of the clock.

        Raises:
            ValueError: ``reading_s`` has passed already, or is not a number.
        """
        if not reading_s >= self._passed_s:
            raise ValueError(
                f"reading_s must be at least {self._passed_s}, the time now, but got {reading_s}."
            )
        self._passed_s = reading_s
