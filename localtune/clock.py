"""Defines the clocks of a run.

All code that depends on time gets a Clock, so that tests and simulations can advance it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Reads the time in seconds."""

    def monotonic(self) -> float:
        """Returns seconds since an arbitrary start, for durations; never decreases."""

    def time(self) -> float:
        """Returns the seconds since the Unix epoch, for time stamps only. The value may jump."""


class SystemClock:
    """Reads the machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()


class AwakeClock(SystemClock):
    """Reads the machine's clocks, without the time that it slept or this process was stopped.

    A run reads the clock several times a second. No trials ran in a much longer gap between two
    readings. A time budget must not end, and a step must not time out, because a laptop was closed.

    Args:
        read: Returns the time in seconds.
    """

    # Longer than any other work of the run between two steps of its loop.
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
    """Stands still until it is advanced, for tests and simulations.

    It is a :class:`Clock`. Both of its readings advance together.

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
        """Advances the clock.

        Args:
            duration_s: Seconds to advance.

        Raises:
            ValueError: if ``duration_s`` is negative or NaN.
        """
        if not duration_s >= 0:
            raise ValueError(f"duration_s must be at least 0, but got {duration_s}.")
        self._passed_s += duration_s

    def advance_to(self, reading_s: float) -> None:
        """Advances the clock until ``monotonic()`` returns ``reading_s``.

        Args:
            reading_s: Seconds since the start of the clock.

        Raises:
            ValueError: if ``reading_s`` is in the past or NaN.
        """
        if not reading_s >= self._passed_s:
            raise ValueError(
                f"reading_s must be at least {self._passed_s}, the time now, but got {reading_s}."
            )
        self._passed_s = reading_s
