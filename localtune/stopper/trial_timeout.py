"""TrialTimeoutStopper: stops each trial after some time of training."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from localtune.result import TIME_TOTAL_S
from localtune.stopper.base import Stopper
from localtune.stopper.missing_keys import MISSING, MissingKeys, value_of
from localtune.stopper.seconds import seconds_of

__all__ = ["TrialTimeoutStopper"]


class TrialTimeoutStopper(Stopper):
    """Stops a trial when its training time has reached a limit.

    The training time is ``time_total_s`` of a result: the time of all steps, also of those before
    the trial was paused, restored or retried, but without waiting and starting. The trial ends
    with the first result at or after the limit. A trial that never reports is never stopped.

    Args:
        timeout: Limit in seconds, or as a timedelta; at least 0.

    Raises:
        ValueError: for any other timeout.

    Example:
        >>> stop = TrialTimeoutStopper(60)
        >>> stop("trial_1", {"time_total_s": 59.0}), stop("trial_1", {"time_total_s": 60.5})
        (False, True)
    """

    has_state = False

    def __init__(self, timeout: float | datetime.timedelta) -> None:
        self._timeout_s = seconds_of(timeout)
        self._missing = MissingKeys("TrialTimeoutStopper", [TIME_TOTAL_S])

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        time_s = value_of(TIME_TOTAL_S, result)
        return time_s is not MISSING and bool(time_s >= self._timeout_s)

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return self._missing.warnings(result)
