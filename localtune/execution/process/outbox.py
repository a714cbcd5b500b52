"""Outbox: what the parent has to say to one peer, which may be slow to read, or never read again.

::

      send --+--> the peer takes it at once
             +--> waits here --> the Waiter sees that the peer has read --> goes on

The parent serves many peers, and signals: it must not wait in a write for one of them. Where a
pipe cannot be watched for room (Windows), a thread per peer waits in its place.

A peer has at most one command in flight, and one to stop: what waits here stays small.
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

# A thread that writes to a process that has ended comes back at once.
_CLOSE_TIMEOUT_S = 1.0


class Outbox(ABC):
    """Sends to one peer without ever waiting for it.

    What is sent to a peer that has gone is dropped: its end is noticed elsewhere.
    """

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Sends all of ``data``, after what was sent before."""

    @abstractmethod
    def close(self) -> None:
        """Drops what has not been sent; call it before closing the pipe."""


def make_outbox(waiter: Waiter, fd: int, write: Callable[[bytes], object]) -> Outbox:
    """The outbox for one end of a pipe.

    Args:
        waiter: Where the end is watched.
        fd: Descriptor (handle on Windows) of the end; it does not block from now on if the waiter
            can watch it for room.
        write: Writes all of its argument, for as long as that takes.
    """
    return PolledOutbox(waiter, fd) if waiter.can_await_room else ThreadedOutbox(write)


class PolledOutbox(Outbox):
    """Writes as much as there is room for, and the rest when the waiter says that there is more.

    Args:
        waiter: Where the end is watched.
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
        """Writes what there is room for; returns the rest."""
        try:
            count = os.write(self._fd, data)
        except BlockingIOError:
            return data
        except OSError:
            return b""
        return memoryview(data)[count:] if count < len(data) else b""


class ThreadedOutbox(Outbox):
    """Lets a thread wait until the peer has read.

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
