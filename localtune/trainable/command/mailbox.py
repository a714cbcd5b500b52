"""Mailbox: what the threads of a program's run hand to the thread that reports.

A thread that has a result waits until the one before has been taken, and with it the program, once
its pipe is full.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_CAPACITY = 1


@dataclass(slots=True)
class Arrival:
    """A result that a program has reported.

    Attributes:
        way: How it came: ``"stdout"``, ``"file"`` or ``"report"``.
        metrics: The metrics.
        takes_state: Whether the state in the checkpoint directory counts.
        is_held: Whether the program is held until its state is taken.
        written_ns: Time at which a held program had reported it, at the latest.
        checkpoint: Directory with a checkpoint of its own; None without one.
        owns_checkpoint: Whether that directory is a copy, which nobody else removes.
        answer: Called with the path of the stored checkpoint, or None, when the program may go on.
    """

    way: str
    metrics: dict[str, Any]
    takes_state: bool = False
    is_held: bool = False
    written_ns: int = 0
    checkpoint: str | None = None
    owns_checkpoint: bool = False
    answer: Callable[[str | None], None] | None = None


class Mailbox:
    """Passes results from several threads to one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Arrival] = deque()
        self._is_closed = False
        self._is_woken = False

    def put(self, arrival: Arrival) -> bool:
        """Hands over a result; waits for room.

        Returns:
            False if nobody takes results any more.
        """
        with self._changed:
            while len(self._waiting) >= _CAPACITY and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return False
            self._waiting.append(arrival)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> Arrival | None:
        """Returns the next result; None if there is none in time, or after :meth:`wake`.

        Args:
            timeout_s: Most seconds to wait.
        """
        with self._changed:
            if not self._waiting and not self._is_woken:
                self._changed.wait(timeout_s)
            self._is_woken = False
            if not self._waiting:
                return None
            arrival = self._waiting.popleft()
            self._changed.notify_all()
            return arrival

    def wake(self) -> None:
        """Makes a call of :meth:`get` return."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drops all results from now on."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
