"""One blocking wait on all pipes, sockets and processes.

::

      pipes, sockets, process ends --readable--> handler
      pipes that have been full    --room------> handler

With ``epoll`` (Linux), the cost does not depend on the number of sources.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable
from typing import Any

from localtune.utils.spin import poll_briefly

# Shorter than a worker's, because the parent has other work.
_SPIN_S = 30e-6


# Other events mean that the source has ended or failed, which its handlers find out.
_READABLE = getattr(select, "POLLIN", 1)
_HAS_ROOM = getattr(select, "POLLOUT", 4)


class Waiter:
    """Waits for any of many pipes, sockets and process handles, and calls their handlers.

    Args:
        use_poll: Whether to use ``epoll`` or ``poll`` on descriptors. Otherwise (on Windows, where
            pipes are handles) ``multiprocessing.connection.wait`` is used. It is slower and cannot
            wait for room.
    """

    def __init__(self, *, use_poll: bool) -> None:
        self._poll: Any = None
        if use_poll:
            self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._units_per_s = 1.0 if hasattr(select, "epoll") else 1000.0
        self._handlers: dict[Any, Callable[[], None]] = {}  # by descriptor, or by object
        self._room_handlers: dict[int, Callable[[], None]] = {}  # by descriptor
        self._alarm: _Alarm | _HandleAlarm = _Alarm() if use_poll else _HandleAlarm()
        self._woken = False
        self.register(self._alarm.source, self._take_wake)

    @property
    def can_await_room(self) -> bool:
        """Whether :meth:`await_room` works."""
        return self._poll is not None

    def register(self, source: Any, handler: Callable[[], None]) -> None:
        """Calls a handler whenever a source is readable.

        Args:
            source: A pipe, a socket, a descriptor, or the handle of a process, which is readable
                when the process has ended.
            handler: Called by :meth:`wait`.
        """
        if self._poll is not None:
            fd = _descriptor(source)
            self._watch(fd, _READABLE | (_HAS_ROOM if fd in self._room_handlers else 0))
            self._handlers[fd] = handler
        else:
            self._handlers[source] = handler

    def unregister(self, source: Any) -> None:
        """Forgets ``source``; call it before ``source`` is closed."""
        if self._poll is not None:
            fd = _descriptor(source)
            del self._handlers[fd]
            self._watch(fd, _HAS_ROOM if fd in self._room_handlers else 0)
        else:
            del self._handlers[source]

    def await_room(self, fd: int, handler: Callable[[], None]) -> None:
        """Calls a handler whenever a descriptor can be written, or has failed.

        Args:
            fd: The descriptor.
            handler: Called by :meth:`wait`.
        """
        self._watch(fd, _HAS_ROOM | (_READABLE if fd in self._handlers else 0))
        self._room_handlers[fd] = handler

    def forget_room(self, fd: int) -> None:
        """Ends the wait for room in ``fd``; call it before ``fd`` is closed."""
        del self._room_handlers[fd]
        self._watch(fd, _READABLE if fd in self._handlers else 0)

    def wait(self, timeout_s: float | None) -> None:
        """Waits until a source is ready or the time is over, and calls the handlers."""
        found: list[tuple[Any, int]]
        if self._poll is None:
            from multiprocessing.connection import wait

            found = [(source, _READABLE) for source in wait(list(self._handlers), timeout_s)]
        else:
            found = poll_briefly(self._poll, _SPIN_S) or self._poll.poll(self._timeout(timeout_s))
        due = []
        for source, events in found:
            if events != _HAS_ROOM and source in self._handlers:
                due.append((self._handlers, source, self._handlers[source]))
            if events != _READABLE and source in self._room_handlers:
                due.append((self._room_handlers, source, self._room_handlers[source]))
        for handlers, source, handler in due:
            # An earlier handler of this round may have unregistered a later source.
            if handlers.get(source) is handler:
                handler()

    def wake(self) -> None:
        """Ends a wait from another thread or from a signal handler."""
        if not self._woken:
            self._woken = True
            self._alarm.ring()

    def close(self) -> None:
        """Closes the waiter; the sources stay open."""
        self._handlers.clear()
        self._room_handlers.clear()
        self._alarm.close()
        if hasattr(self._poll, "close"):
            self._poll.close()

    def _watch(self, fd: int, events: int) -> None:
        """Changes the events for which ``fd`` is watched; 0 ends the watch."""
        is_watched = fd in self._handlers or fd in self._room_handlers
        if not events:
            self._poll.unregister(fd)
        elif is_watched:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)

    def _timeout(self, timeout_s: float | None) -> float | None:
        if timeout_s is None:
            return None
        # Rounded up, because a wait that ends too early is repeated.
        return math.ceil(timeout_s * 1000.0) / 1000.0 * self._units_per_s

    def _take_wake(self) -> None:
        self._woken = False
        self._alarm.take()


class _Alarm:
    """A pipe to this process itself, which holds one message at most.

    Attributes:
        source: Its readable end.
    """

    def __init__(self) -> None:
        self.source, self._end = os.pipe()

    def ring(self) -> None:
        """Makes the source readable."""
        os.write(self._end, b"!")

    def take(self) -> None:
        """Ends that."""
        os.read(self.source, 1)

    def close(self) -> None:
        """Closes both ends."""
        os.close(self.source)
        os.close(self._end)


class _HandleAlarm:
    """The same with a pipe of ``multiprocessing``, which Windows can wait for."""

    def __init__(self) -> None:
        # It loads ten modules, which other systems do without.
        from multiprocessing import Pipe

        self.source, self._end = Pipe(duplex=False)

    def ring(self) -> None:
        self._end.send_bytes(b"")

    def take(self) -> None:
        self.source.recv_bytes()

    def close(self) -> None:
        self.source.close()
        self._end.close()


def _descriptor(source: Any) -> int:
    return source if isinstance(source, int) else source.fileno()
