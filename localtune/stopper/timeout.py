"""TimeoutStopper: stops the whole run after some time."""

from __future__ import annotations

import datetime
from typing import Any

from localtune.clock import Clock, SystemClock
from localtune.stopper.base import Stopper
from localtune.stopper.seconds import seconds_of

__all__ = ["TimeoutStopper"]


class TimeoutStopper(Stopper):
    """Stops the whole run when its time is over.

    The time begins with the first call of ``stop_all``. A pickled stopper goes on with the
    remaining time.

    Args:
        timeout: Seconds, or a timedelta; at least 0.
        clock: Clock that measures the time; None is the system's.

    Raises:
        ValueError: for any other timeout.
    """

    def __init__(self, timeout: float | datetime.timedelta, clock: Clock | None = None) -> None:
        self._budget_s = seconds_of(timeout)
        self._clock = clock or SystemClock()
        self._start_s: float | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._start_s is None:
            self._start_s = self._clock.monotonic()
        return self._remaining_s() <= 0

    def _remaining_s(self) -> float:
        if self._start_s is None:
            return self._budget_s
        return self._budget_s - (self._clock.monotonic() - self._start_s)

    def __getstate__(self) -> dict[str, Any]:
        # Monotonic times of two processes cannot be compared.
        return {
            "_budget_s": max(self._remaining_s(), 0.0),
            "_clock": self._clock,
            "_start_s": None,
        }
