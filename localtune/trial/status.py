"""Defines the states of a trial and the moves between them.

::

                  +----- (retried) --------------------------------+
                  v                                                |
    (new) --> PENDING ----> RUNNING ------- (failed) ----------> ERROR
                |  ^        |  |  ^
                |  +--------+  |  |      (its worker refused to be reset)
                |              |  |
                |  ^           v  |
                |  +-------- PAUSED    (its scheduler lets it continue)
                v              |
            TERMINATED <-------+         (a RUNNING trial ends, too)

A reader shows a trial as INTERRUPTED if its record says RUNNING but no process works on it. This
state is never saved.
"""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """Represents the state of one trial. It equals the plain string and prints as such."""

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
        """Whether the trial has ended. Only a retry starts it again."""
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
    """Checks that a trial may change its state.

    Args:
        old: Present state.
        new: Next state.

    Raises:
        ValueError: if the move does not exist.
    """
    if new is not old and new not in ALLOWED_MOVES[old]:
        raise ValueError(f"A trial cannot go from {old} to {new}.")
