"""One blocking wait on everything that can happen."""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from multiprocessing.connection import Pipe, wait
from typing import Any

from localtune.utils.spin import poll_briefly

# The parent has other work to do: shorter than a worker's.
_SPIN_S = 30e-6


class Waiter:
    """Waits for any of many pipes, sockets and process handles, and calls their handlers.

    Args:
        use_poll: Whether to use ``poll()`` on descriptors; without it (Windows, where pipes are
            handles) ``multiprocessing.connection.wait`` does the same more slowly.
    """

    def __init__(self, *, use_poll: bool) -> None:
        self._poll = select.poll() if use_poll else None
        self._handlers: dict[Any, Callable[[], None]] = {}  # by descriptor, or by object
        self._wake_in, self._wake_out = Pipe(duplex=False)
        self._woken = False
        self.register(self._wake_in, self._take_wake)

    def register(self, source: Any, handler: Callable[[], None]) -> None:
        """Calls ``handler`` whenever ``source`` is readable (or, a process, has ended)."""
        if self._poll is not None:
            fd = _descriptor(source)
            self._poll.register(fd, select.POLLIN)
            self._handlers[fd] = handler
        else:
            self._handlers[source] = handler

    def unregister(self, source: Any) -> None:
        """Forgets ``source``; call it before closing it."""
        if self._poll is not None:
            fd = _descriptor(source)
            self._poll.unregister(fd)
            del self._handlers[fd]
        else:
            del self._handlers[source]

    def wait(self, timeout_s: float | None) -> None:
        """Waits until something happens or the time is over, and calls the handlers."""
        ready: list[Any]
        if self._poll is not None:
            timeout_ms = None if timeout_s is None else math.ceil(timeout_s * 1000.0)
            found = poll_briefly(self._poll, _SPIN_S) or self._poll.poll(timeout_ms)
            ready = [fd for fd, _ in found]
        else:
            ready = wait(list(self._handlers), timeout_s)
        handlers = [(source, self._handlers[source]) for source in ready]
        for source, handler in handlers:
            # An earlier handler of this round may have unregistered a later source.
            if self._handlers.get(source) is handler:
                handler()

    def wake(self) -> None:
        """Ends a wait from another thread or from a signal handler."""
        if not self._woken:
            self._woken = True
            self._wake_out.send_bytes(b"")

    def close(self) -> None:
        """Gives up the wait itself; the sources stay open."""
        self._handlers.clear()
        self._wake_in.close()
        self._wake_out.close()

    def _take_wake(self) -> None:
        self._woken = False
        self._wake_in.recv_bytes()


def _descriptor(source: Any) -> int:
    return source if isinstance(source, int) else source.fileno()
