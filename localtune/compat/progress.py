"""Which objects the remote functions of this process have yet to make."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection


class Progress:
    """Counts the objects that do not exist yet, and waits for them.

    A forked process has none: the functions return in its parent.

    Attributes:
        changed: Is notified when an object is there, or never will be.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._pending: set[str] = set()
        self.changed = threading.Condition()

    def begin(self, keys: Collection[str]) -> None:
        """Notes that a function will make objects.

        Args:
            keys: Their names.
        """
        self._note_fork()
        with self.changed:
            self._pending.update(keys)

    def end(self, keys: Collection[str]) -> None:
        """Notes that objects are there, or never will be.

        Args:
            keys: Their names.
        """
        with self.changed:
            self._pending.difference_update(keys)
            self.changed.notify_all()

    def is_pending(self, key: str) -> bool:
        """Returns whether a function has yet to make an object.

        Args:
            key: Its name.
        """
        self._note_fork()
        return key in self._pending

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Waits for a condition, which is examined at each change.

        Args:
            condition: The condition.
            timeout_s: Most seconds to wait; None is no limit.

        Returns:
            Whether the condition is true.
        """
        self._note_fork()
        give_up_at = None if timeout_s is None else time.monotonic() + timeout_s
        with self.changed:
            while not condition():
                left_s = None if give_up_at is None else give_up_at - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return False
                self.changed.wait(left_s)
            return True

    def _note_fork(self) -> None:
        if os.getpid() != self._pid:
            self._forget()


progress = Progress()
