"""Sends whole messages over a pipe, with few system calls."""

from __future__ import annotations

import os
import select
import struct
import sys
from typing import Any

from localtune.utils.spin import poll_briefly

_HEADER = struct.Struct("!I")
_CHUNK_BYTES = 64 * 1024
_LARGE_CHUNK_BYTES = 1024 * 1024
# No message is larger. A larger length means that the data is damaged.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


class MessagePipe:
    """One end of a two-way pipe.

    A message is its length and its bytes. Both ends mostly have one message waiting, so one read
    gets it whole, where ``multiprocessing`` reads the length first.

    Args:
        connection: From ``multiprocessing.Pipe()``, or a :class:`Descriptor`; owned from now on.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._fd: int = connection.fileno()
        self._buffer = b""
        # Parts of a message that has not arrived as a whole, and the number of missing bytes. The
        # parts follow on the content of the buffer.
        self._parts: list[bytes] = []
        self._missing = 0
        self._poll: select.poll | None = None

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether this end is closed."""
        return bool(self._connection.closed)

    def close(self) -> None:
        """Closes this end."""
        self._connection.close()

    def send(self, message: bytes) -> None:
        """Writes a message; waits while the pipe is full.

        Raises:
            OSError: if the other end has gone.
        """
        self.write(self.frame(message))

    def frame(self, message: bytes) -> bytes:
        """Returns a message in the form that :meth:`write` takes."""
        return _HEADER.pack(len(message)) + message

    def write(self, data: bytes) -> None:
        """Writes framed messages; waits while the pipe is full.

        Raises:
            OSError: if the other end has gone.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def receive(self) -> bytes:
        """Waits for the next message.

        Raises:
            EOFError: if the other end has gone.
            OSError: if this end cannot be read.
        """
        while True:
            message = self._take()
            if message is not None:
                return message
            self._read()

    def is_ready(self) -> bool:
        """Returns whether data, or the end of the pipe, can be read."""
        return bool(self._connection.poll())

    def has_more(self) -> bool:
        """Returns whether a part of a message, or the end of the pipe, has arrived."""
        return bool(self._buffer) or self.is_ready()

    def receive_ready(self) -> list[bytes]:
        """Reads once and returns the messages that are complete, maybe none.

        The caller knows that data can be read, and does not call :meth:`receive`.

        Raises:
            EOFError: if the other end has gone.
            OSError: if this end cannot be read, or the data is no message.
        """
        try:
            chunk = os.read(self._fd, max(_CHUNK_BYTES, min(self._missing, _LARGE_CHUNK_BYTES)))
        except BlockingIOError:
            return []
        if not chunk:
            raise EOFError
        if not self._buffer and not self._missing:
            # Mostly one message, and nothing else, has arrived.
            end = _HEADER.size + _HEADER.unpack_from(chunk)[0] if len(chunk) >= _HEADER.size else 0
            if len(chunk) == end:
                return [chunk[_HEADER.size :]]
        if len(chunk) < self._missing:
            self._missing -= len(chunk)
            self._parts.append(chunk)
            return []
        self._buffer = b"".join((self._buffer, *self._parts, chunk))
        self._parts.clear()
        self._missing = 0
        messages = []
        while self._buffer and (message := self._take_whole()) is not None:
            messages.append(message)
        return messages

    def wait_briefly(self, duration_s: float) -> None:
        """Waits a moment for the next message without sleeping."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLIN)
        if not self._buffer:
            poll_briefly(self._poll, duration_s)

    def _read(self) -> None:
        chunk = os.read(self._fd, _CHUNK_BYTES)
        if not chunk:
            raise EOFError
        self._buffer = self._buffer + chunk if self._buffer else chunk

    def _take(self) -> bytes | None:
        """Removes the first message from the buffer; returns None if it is not complete."""
        buffer = self._buffer
        if len(buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(buffer)
        end = _HEADER.size + length
        if len(buffer) < end:
            self._fill(end)
            buffer = self._buffer
        self._buffer = buffer[end:]
        return buffer[_HEADER.size : end]

    def _take_whole(self) -> bytes | None:
        """Removes the first message; returns None and the missing bytes if it is not complete."""
        buffer = self._buffer
        if len(buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(buffer)
        if length > MAX_MESSAGE_BYTES:
            raise OSError(
                f"a message of {length:,} bytes: another process or thread writes to the pipe"
            )
        end = _HEADER.size + length
        if len(buffer) < end:
            self._missing = end - len(buffer)
            return None
        self._buffer = buffer[end:]
        return buffer[_HEADER.size : end]

    def _fill(self, end: int) -> None:
        """Reads until the buffer has ``end`` bytes."""
        parts = [self._buffer]
        missing = end - len(self._buffer)
        while missing > 0:
            chunk = os.read(self._fd, min(missing, _LARGE_CHUNK_BYTES))
            if not chunk:
                raise EOFError
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer = b"".join(parts)


class HandlePipe(MessagePipe):
    """A pipe on Windows, where pipes are handles and carry whole messages."""

    def frame(self, message: bytes) -> bytes:
        return message

    def write(self, data: bytes) -> None:
        self._connection.send_bytes(data)

    def receive(self) -> bytes:
        message: bytes = self._connection.recv_bytes()
        return message

    def receive_ready(self) -> list[bytes]:
        return [self.receive()]

    def wait_briefly(self, duration_s: float) -> None:
        return  # A handle cannot be polled without a wait.


class Descriptor:
    """An inherited descriptor as the end of a pipe.

    It has the methods of ``multiprocessing``'s connection that a worker needs. That module would
    load a dozen others into every worker.

    Args:
        fd: Owned from now on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.closed = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def poll(self) -> bool:
        """Returns whether data, or the end of the pipe, can be read."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Closes it."""
        if not self.closed:
            self.closed = True
            os.close(self._fd)


def message_pipe(connection: Any) -> MessagePipe:
    """Returns the pipe for an end of ``multiprocessing.Pipe()``."""
    return HandlePipe(connection) if sys.platform == "win32" else MessagePipe(connection)
