"""Keeps one guard of this process between runs, so that the next run does not start from nothing.

::

      run begins                          run ends
        |  take: is it as this process      |  give back
        |  is now?                          v
        |<------- yes ------------------ idle guard ---> ends by itself, after IDLE_S
        |  no: it ends, and the run         |
        v  starts another                   +----------> ends with this process, or by shutdown()

A guard serves one run at a time. A second run at the same time starts its own, and one of the two
is kept.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localtune.execution.process.guard_client import GuardClient

# The guard itself counts the seconds.
IDLE_S = 60.0


class _Keeper:
    """Keeps a guard, and what this process was like when the guard started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[GuardClient, object] | None = None
        self._is_registered = False

    def take(self, surroundings: object) -> GuardClient | None:
        """Returns the guard if it can serve a run; ends it if it cannot.

        Args:
            surroundings: What this process is like now.
        """
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is None:
            return None
        guard, before = kept
        if before == surroundings and guard.is_alive():
            return guard
        guard.close()
        return None

    def give_back(self, guard: GuardClient, surroundings: object) -> None:
        """Keeps a guard that has served its run, unless another one is kept.

        Args:
            guard: The guard.
            surroundings: What this process was like when the guard started.
        """
        with self._lock:
            is_kept = self._kept is None
            if is_kept:
                self._kept = (guard, surroundings)
                self._register()
        if not is_kept:
            guard.close()

    def end(self) -> None:
        """Ends the guard."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept[0].close()

    def _register(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self.end)
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # Another thread may have held the lock when this process was forked.
        self._lock = threading.Lock()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[0].forget()


keeper = _Keeper()


def shutdown() -> None:
    """Ends the processes that localtune keeps between runs.

    After a run, the process that has imported its modules stays for a minute, so that the next run
    of this process starts faster. It ends by itself, and with this process. Call this function to
    end it earlier. Runs that still go on are not affected.

    Example:
        >>> import localtune as tune
        >>> tune.shutdown()
    """
    keeper.end()
