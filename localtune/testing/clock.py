"""A clock that tests and simulations move by hand."""

from __future__ import annotations


class ManualClock:
    """Clock that stands still until it is told to move.

    It is a :class:`localtune.clock.Clock`. Both of its readings move together.

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
