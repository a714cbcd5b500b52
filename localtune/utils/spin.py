"""Looking for a moment before sleeping."""

from __future__ import annotations

import select
import time


def poll_briefly(poll: select.poll, duration_s: float) -> list[tuple[int, int]]:
    """Asks again and again, without sleeping, what is ready.

    A processor that has been put to sleep is slow to wake, its caches are cold, and whoever
    wakes it pays too. Between two processes that answer each other within microseconds that is
    most of the time a message takes; where nothing comes, it costs ``duration_s`` once.

    Args:
        poll: What to ask.
        duration_s: For how long.

    Returns:
        (descriptor, event) of what is ready; [] if nothing came in time.
    """
    give_up_at = time.perf_counter() + duration_s
    while True:
        ready = poll.poll(0)
        if ready or time.perf_counter() >= give_up_at:
            return ready
