"""Deadlines: the next step against each worker that takes too long."""

from __future__ import annotations

import enum
import time


class Step(enum.Enum):
    """The steps against a worker that takes too long, in their order."""

    TERMINATE = "terminate"  # SIGTERM
    KILL = "kill"  # SIGKILL
    GIVE_UP = "give up"  # it was killed, but its end was not reported


class Deadlines:
    """At most one deadline per worker, by the monotonic clock."""

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, Step]] = {}  # {worker id: (time, step)}

    def set(self, worker_id: int, after_s: float, step: Step) -> None:
        """Sets the deadline of a worker, in place of an earlier one.

        Args:
            worker_id: The worker.
            after_s: Seconds from now.
            step: The step that is due then.
        """
        self._due[worker_id] = (time.monotonic() + after_s, step)

    def drop(self, worker_id: int) -> None:
        """Removes the deadline of a worker."""
        self._due.pop(worker_id, None)

    def seconds_left(self) -> float | None:
        """Returns the seconds to the first deadline, 0 if it has passed; None without one."""
        if not self._due:
            return None
        return max(min(when for when, _ in self._due.values()) - time.monotonic(), 0.0)

    def take_due(self) -> list[tuple[int, Step]]:
        """Removes the deadlines that have passed; returns (worker id, step) of each."""
        if not self._due:
            return []
        now = time.monotonic()
        due = [(worker_id, step) for worker_id, (when, step) in self._due.items() if when <= now]
        for worker_id, _ in due:
            del self._due[worker_id]
        return due
