"""One blocking wait on everything that can happen."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from multiprocessing.connection import Pipe, wait
from typing import Any


class Waiter:
    """Waits for any of many pipes, sockets and process handles, and calls their handlers.

    Args:
        use_selector: Whether to use the platform's fastest mechanism for descriptors; without
            it (Windows, where pipes are handles) ``multiprocessing.connection.wait`` does it.
    """

    def __init__(self, *, use_selector: bool) -> None:
        self._selector = selectors.DefaultSelector() if use_selector else None
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._wake_in, self._wake_out = Pipe(duplex=False)
        self._woken = False
        self.register(self._wake_in, self._take_wake)

    def register(self, source: Any, handler: Callable[[], None]) -> None:
        """Calls ``handler`` whenever ``source`` is readable (or, a process, has ended)."""
        if self._selector is not None:
            self._selector.register(source, selectors.EVENT_READ, handler)
        else:
            self._handlers[source] = handler

    def unregister(self, source: Any) -> None:
        """Forgets ``source``; call it before closing it."""
        if self._selector is not None:
            self._selector.unregister(source)
        else:
            del self._handlers[source]

    def wait(self, timeout_s: float | None) -> None:
        """Waits until something happens or the time is over, and calls the handlers."""
        if self._selector is not None:
            for key, _ in self._selector.select(timeout_s):
                # An earlier handler of this round may have unregistered a later source.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
        else:
            for source in wait(list(self._handlers), timeout_s):
                handler = self._handlers.get(source)
                if handler is not None:
                    handler()

    def wake(self) -> None:
        """Ends a wait from another thread or from a signal handler."""
        if not self._woken:
            self._woken = True
            self._wake_out.send_bytes(b"")

    def close(self) -> None:
        """Gives up the wait itself; the sources stay open."""
        if self._selector is not None:
            self._selector.close()
        self._handlers.clear()
        self._wake_in.close()
        self._wake_out.close()

    def _take_wake(self) -> None:
        self._woken = False
        self._wake_in.recv_bytes()
