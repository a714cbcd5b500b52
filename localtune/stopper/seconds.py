"""seconds_of: converts the timeouts of stoppers to seconds."""

from __future__ import annotations

import datetime


def seconds_of(timeout: float | datetime.timedelta) -> float:
    """Returns a timeout in seconds.

    Args:
        timeout: Seconds, or a timedelta; at least 0.

    Raises:
        ValueError: for any other value.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds >= 0:
        raise ValueError(
            f"A timeout must be a number of seconds or a timedelta, at least 0, "
            f"but got {timeout!r}."
        )
    return float(seconds)
