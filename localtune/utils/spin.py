"""Polls descriptors for a moment before the caller sleeps."""

from __future__ import annotations

import select
import time


def poll_briefly(poll: select.poll, duration_s: float) -> list[tuple[int, int]]:
    """Polls without sleeping until a descriptor is ready or the time is over.

    Waking a sleeping processor is slow: its caches are cold, and the process that wakes it waits,
    too. Two processes that answer each other within microseconds would spend most of a message's
    time on that. If nothing arrives, the polling costs ``duration_s`` of processor time once.

    Args:
        poll: Poll object with the registered descriptors.
        duration_s: Longest time to poll, in seconds.

    Returns:
        Pairs (descriptor, event mask) that are ready; [] if none became ready in time.
    """
    ready = poll.poll(0)
    if ready:
        return ready
    give_up_at = time.perf_counter() + duration_s
    while not ready and time.perf_counter() < give_up_at:
        ready = poll.poll(0)
    return ready
