"""Outbox: the messages to one peer, which may read slowly or not at all.

::

      send --+--> the peer takes it at once
             +--> waits here --> the Waiter sees that the peer has read --> goes on

The parent serves many peers and signals, so it must not wait until one peer reads. If a pipe cannot
be watched for room (Windows), a thread per peer waits in its place.

A peer has at most one command in flight and one Stop, so few messages wait here.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from localtune.execution.process.waiter import Waiter

# A write to a process that has ended returns at once.
_CLOSE_TIMEOUT_S = 1.0


class Outbox(ABC):
    """Sends messages to one peer without waiting for it.

    Messages to a peer that has gone are dropped.
    """

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Sends all of ``data``, after earlier messages."""

    @abstractmethod
    def close(self) -> None:
        """Drops messages that wait; call it before the pipe is closed."""


def make_outbox(waiter: Waiter, fd: int, write: Callable[[bytes], object]) -> Outbox:
    """Returns the outbox for one end of a pipe.

    Args:
        waiter: Watches the end.
        fd: Descriptor (handle on Windows) of the end; it does not block from now on if the waiter
            can watch it for room.
        write: Writes all of its argument, for as long as that takes.
    """
    return PolledOutbox(waiter, fd) if waiter.can_await_room else ThreadedOutbox(write)


class PolledOutbox(Outbox):
    """Writes as much as the pipe has room for, and the rest when the waiter reports more room.

    Args:
        waiter: Watches the end.
        fd: Descriptor of the end; it does not block from now on.
    """

    def __init__(self, waiter: Waiter, fd: int) -> None:
        os.set_blocking(fd, False)
        self._waiter = waiter
        self._fd = fd
        self._rest: deque[bytes | memoryview] = deque()

    def send(self, data: bytes) -> None:
        if self._rest:
            self._rest.append(data)
            return
        rest = self._write(data)
        if rest:
            self._rest.append(rest)
            self._waiter.await_room(self._fd, self._go_on)

    def close(self) -> None:
        if self._rest:
            self._rest.clear()
            self._waiter.forget_room(self._fd)

    def _go_on(self) -> None:
        while self._rest:
            rest = self._write(self._rest[0])
            if rest:
                self._rest[0] = rest
                return
            self._rest.popleft()
        self._waiter.forget_room(self._fd)

    def _write(self, data: bytes | memoryview) -> bytes | memoryview:
        """Writes as much as the pipe has room for; returns the rest."""
        try:
            count = os.write(self._fd, data)
        except BlockingIOError:
            return data
        except OSError:
            return b""
        return memoryview(data)[count:] if count < len(data) else b""


class ThreadedOutbox(Outbox):
    """Writes in a thread, which waits until the peer reads.

    Args:
        write: Writes all of its argument, for as long as that takes.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write_all = write
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def send(self, data: bytes) -> None:
        self._queue.put(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="localtune-send")
            self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_CLOSE_TIMEOUT_S)
            self._thread = None

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while (data := self._queue.get()) is not None:
                self._write_all(data)
