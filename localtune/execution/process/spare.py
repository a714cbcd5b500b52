"""Spare: a worker that a template has forked before it is asked for.

::

      parent                 template                        spare
        |                       |  fork ---------------------->|  own session, own process group,
        |                       |                              |  waits for its assignment
        |  "fork 7" + pipe end  |                              |
        |---------------------->|  "fork 7" + pipe end ------->|  is worker 7 from now on
        |<----------------------|  "started 7 <pid>"           |
        |                       |  fork the next one           |

A trial that is short waits for its process longer than it runs. While trials are short, a template
therefore keeps one spare, which it forks while the others run. A spare has no trial, no directory
and no slot; the parent does not know of it. It ends with the template like a worker, or earlier if
no trial has ended for a while.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import time

from localtune.execution.process import packets as pk

# Workers that end so soon are of short trials.
_SHORT_S = 1.0
# A spare is kept so long after the latest of them.
_KEPT_S = 2.0
# The first trials of a run, which may be its only ones, do without.
_FIRST = 4


class Spare:
    """A process that waits for its assignment.

    Args:
        pid: Its process id.
        pidfd: Its process descriptor.
        control: The template's end of a socket to it; owned from now on.
    """

    def __init__(self, pid: int, pidfd: int, control: socket.socket) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self._control = control

    def assign(self, packet: pk.Packet) -> bool:
        """Makes it the worker of a packet; returns False if it has ended."""
        try:
            pk.send(self._control, packet)
        except OSError:
            return False
        finally:
            self._control.close()
        return True

    def end(self) -> None:
        """Kills it. Its end is seen by its process descriptor."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


class Demand:
    """Knows from the workers so far whether a spare would be of use."""

    def __init__(self) -> None:
        self._started: dict[int, float] = {}  # {pid: when it became a worker}
        self._count = 0
        self._kept_until = -math.inf

    def note_start(self, pid: int) -> None:
        """Notes that a process has become a worker."""
        self._started[pid] = time.monotonic()
        self._count += 1

    def note_end(self, pid: int) -> None:
        """Notes that a worker has ended."""
        now = time.monotonic()
        if now - self._started.pop(pid) < _SHORT_S and self._count >= _FIRST:
            self._kept_until = now + _KEPT_S

    @property
    def count(self) -> int:
        """The number of workers so far."""
        return self._count

    def seconds_left(self) -> float:
        """Returns how long a spare is of use from now on, in seconds; 0.0 if it is of none."""
        return max(self._kept_until - time.monotonic(), 0.0)


def wait_for_assignment(control: socket.socket) -> pk.Packet:
    """Returns the packet that makes this process a worker. The process ends if there is none."""
    with control:
        packet = pk.receive(control)
    if packet is None:
        os._exit(0)
    return packet
