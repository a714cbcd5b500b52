r"""StandardOutput: passes the output of the processes of a run to that of this process.

::

    worker, what it starts --> pipe --> thread --> standard output of this process
                                             \--> nowhere, once that has gone

The reader of this process's output may end (``| head``, a closed terminal), or the disk of its log
may be full. A process that wrote to it directly would fail, or die of SIGPIPE. The pipe has a
reader as long as the run goes on. Of the codes that control a terminal, only colours pass, because
the output may go to a terminal through other programs.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from typing import Any

from localtune.utils.text import PrintableOutput
from localtune.worker.lifeline import END_TIMEOUT_S

_CHUNK_BYTES = 64 * 1024
# Seconds between two checks, at the end, whether output is still on its way.
_CHECK_S = 0.05


class StandardOutput:
    """Pipes to the standard output and the standard error of this process.

    Attributes:
        fds: The writing ends for output and for errors.
    """

    def __init__(self) -> None:
        self._relays: list[_Relay] = []
        self._nowhere = -1
        try:
            output = self._fd_for(sys.__stdout__, 1, {})
            known = {_identity(1): output}
            self.fds = (output, self._fd_for(sys.__stderr__, 2, known))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Waits until the output has been written, as long as its reader reads."""
        for relay in self._relays:
            relay.close()
        self._relays = []
        if self._nowhere >= 0:
            os.close(self._nowhere)
            self._nowhere = -1

    def _fd_for(self, stream: Any, fd: int, known: dict[tuple[int, int] | None, int]) -> int:
        identity = _identity(fd)
        if stream is None or stream.closed or identity is None:
            # The descriptor of this number is not a standard stream any more.
            if self._nowhere < 0:
                self._nowhere = os.open(os.devnull, os.O_WRONLY)
            return self._nowhere
        if identity not in known:
            # If both are the same file, one pipe keeps the order.
            self._relays.append(_Relay(fd))
            return self._relays[-1].write_fd
        return known[identity]


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Relay:
    """Copies data from a pipe to another descriptor as long as that can be written."""

    def __init__(self, fd: int) -> None:
        self._target = os.dup(fd)
        try:
            self._read_fd, self.write_fd = os.pipe()
        except BaseException:
            os.close(self._target)
            raise
        self._count = 0  # of chunks that were read or written
        self._thread = threading.Thread(target=self._run, daemon=True, name="localtune-output")
        self._thread.start()

    def close(self) -> None:
        os.close(self.write_fd)
        waited_s, seen = 0.0, self._count
        # A process may hold the other end open, or the reader may not read.
        while self._thread.is_alive() and waited_s < END_TIMEOUT_S:
            self._thread.join(_CHECK_S)
            waited_s = waited_s + _CHECK_S if self._count == seen else 0.0
            seen = self._count

    def _run(self) -> None:
        printable = PrintableOutput()
        try:
            while data := os.read(self._read_fd, _CHUNK_BYTES):
                self._count += 1
                self._pass_on(printable.feed(data))
                self._count += 1
            self._pass_on(printable.feed(b"", final=True))
        finally:
            os.close(self._read_fd)
            os.close(self._target)

    def _pass_on(self, data: bytes) -> None:
        # Output without a reader is dropped, so that trials neither fail nor wait.
        with contextlib.suppress(OSError):
            self._write(memoryview(data))

    def _write(self, data: memoryview) -> None:
        while data:
            try:
                data = data[os.write(self._target, data) :]
                self._count += 1
            except BlockingIOError:
                # The program that started this process has made it non-blocking.
                select.select([], [self._target], [])
