"""The channel between ``localtune.report`` in a program and the worker that has started it.

::

    program                                          worker
      |  {"metrics": {...}, "checkpoint": path} ---->  |   stores the checkpoint, reports
      |                                                |   ... the run decides ...
      |  <---------------- {"checkpoint": stored path} |   report() returns
      |  <-------------------------- {"stop": true}    |   or raises TrialStopped

Each message is one line of JSON. The program inherits one end of a socket pair; an environment
variable names it. A program may have lost it, because something between it and the worker closes
descriptors, or the platform cannot inherit them. It then adds the same lines to the metrics file,
and goes on without an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import Any

from localtune.result import CHANNEL_VARIABLE
from localtune.trainable.command.mailbox import Arrival, Mailbox
from localtune.trainable.command.parse import takes_checkpoint

START_VARIABLE = "LOCALTUNE_START_CHECKPOINT"
# Key of a line of the metrics file that localtune.report has written.
REPORT_KEY = "__localtune_report__"
CAN_INHERIT = os.name != "nt"
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class ReportChannel(threading.Thread):
    """The worker's end: takes the reports of a program, and answers them.

    Args:
        mailbox: Gets the reports.

    Attributes:
        has_reports: Whether any report has come.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(name="localtune-program-reports", daemon=True)
        self._mailbox = mailbox
        self._own, self._programs = socket.socketpair()
        self._is_waiting = False
        self.has_reports = False

    @property
    def program_fd(self) -> int:
        """Descriptor for the program."""
        return self._programs.fileno()

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that tell the program of its end."""
        fd = self.program_fd
        return {CHANNEL_VARIABLE: f"{fd}:{os.fstat(fd).st_ino}"}

    def started(self) -> None:
        """Notes that the program has its end."""
        self._programs.close()
        self.start()

    def stop_program(self) -> bool:
        """Tells a program that waits for an answer to end; returns whether it waits."""
        is_waiting = self._is_waiting
        if is_waiting:
            self._answer({"stop": True})
        return is_waiting

    def close(self) -> None:
        """Closes the channel; the thread ends."""
        for each in (self._programs, self._own):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def run(self) -> None:
        rest = b""
        while data := self._receive():
            rest += data
            while b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                self._take(line)
            if len(rest) > _MAX_MESSAGE_BYTES:
                return

    def _receive(self) -> bytes:
        try:
            return self._own.recv(_CHUNK_BYTES)
        except OSError:
            return b""

    def _take(self, line: bytes) -> None:
        try:
            arrival = arrival_of(json.loads(line))
        except (ValueError, TypeError, KeyError):
            return  # The program has written to a descriptor that is not its own.
        self._is_waiting = self.has_reports = True
        arrival.answer = lambda stored: self._answer({"checkpoint": stored})
        if not self._mailbox.put(arrival):
            self._answer({"stop": True})

    def _answer(self, message: dict[str, Any]) -> None:
        self._is_waiting = False
        with contextlib.suppress(OSError):
            self._own.sendall(json.dumps(message).encode() + b"\n")


def arrival_of(message: dict[str, Any]) -> Arrival:
    """Returns the result in a message of ``localtune.report``."""
    metrics = dict(message["metrics"])
    return Arrival(
        "report",
        metrics,
        takes_state=takes_checkpoint(metrics),
        checkpoint=message["checkpoint"],
        owns_checkpoint=message.get("is_copy", False),
    )


def inherited_channel(text: str) -> socket.socket | None:
    """Returns the program's end of the channel.

    Args:
        text: Value of the environment variable.

    Returns:
        The socket; None if this process does not have it.
    """
    fd, _, inode = text.partition(":")
    try:
        if os.fstat(int(fd)).st_ino != int(inode):
            return None
        return socket.socket(fileno=os.dup(int(fd)))
    except (OSError, ValueError):
        return None
