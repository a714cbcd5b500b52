"""States of a trial and the moves between them.

::

                  +----- (retried) --------------------------------+
                  v                                                |
    (new) --> PENDING ----> RUNNING ------- (failed) ----------> ERROR
                |  ^        |  |  ^
                |  +--------+  |  |      (its worker refused to be reset)
                |              |  |
                |  ^           v  |
                |  +-------- PAUSED    (its scheduler says that it may go on)
                v              |
            TERMINATED <-------+         (a RUNNING trial ends, too)

A trial on record as RUNNING that no process works on reads as INTERRUPTED; it is never written.
"""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """State of one trial. Equal to, and printed as, the plain string."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"
    INTERRUPTED = "INTERRUPTED"

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    @property
    def is_final(self) -> bool:
        """Whether the trial will not run any more, unless it is retried."""
        return self in _FINAL


_FINAL = frozenset({Status.TERMINATED, Status.ERROR})

ALLOWED_MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.RUNNING, Status.TERMINATED, Status.ERROR}),
    Status.RUNNING: frozenset({Status.PENDING, Status.PAUSED, Status.TERMINATED, Status.ERROR}),
    Status.PAUSED: frozenset({Status.PENDING, Status.RUNNING, Status.TERMINATED, Status.ERROR}),
    Status.TERMINATED: frozenset(),
    Status.ERROR: frozenset({Status.PENDING}),
    Status.INTERRUPTED: frozenset(),
}


def check_move(old: Status, new: Status) -> None:
    """Raises ValueError if a trial may not go from ``old`` to ``new``."""
    if new is not old and new not in ALLOWED_MOVES[old]:
        raise ValueError(f"A trial cannot go from {old} to {new}.")
