"""Post: sends the parent's messages to agents, and notices agents that are silent.

::

      executor                  Post (a thread)                      agent
        |  send(node, message)    |                                    |
        |------------------------>|  one frame for all that waits      |
        |                         |----------------------------------->|
        |                         |  PING(lease)                       |
        |                         |----------------------------------->|  lives on for the lease
        |                         |                            PONG    |
        |                         |<-----------------------------------|
        |                         |  ... a pause, then the next PING
        |  on_silent(node)        |
        |<------------------------|  no PONG for a time that is longer than the lease

No PING is sent while another one is unanswered. So an agent whose silence is noticed has ended its
workers by then: its lease has run out. The parent's main thread may be busy for any time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from localtune.execution.cluster.wire import Kind, Message, frame

# The lease is this share of the time after which a silent agent counts as lost.
LEASE_SHARE = 0.8
# There are so many PINGs in this time.
_PINGS = 8
# One frame holds no more messages, so that an agent can begin with the first ones.
_MOST_MESSAGES = 1000


@dataclass(slots=True)
class _Line:
    """The line to one agent.

    Attributes:
        asked_at: When the unanswered PING was sent, by the monotonic clock; None if there is none.
        next_at: When the next PING is sent.
        answered_at: When the latest PING was sent that the agent has answered.
        is_silent: Whether its silence was told.
    """

    asked_at: float | None = None
    next_at: float = 0.0
    answered_at: float = 0.0
    is_silent: bool = False


class Post(threading.Thread):
    """Sends messages to agents. All methods return at once.

    Args:
        send: Sends bytes to the agent of a node.
        on_silent: Called in this thread with the id of a node whose agent does not answer.
        timeout_s: How long an agent may be silent.
    """

    def __init__(
        self,
        send: Callable[[str, bytes], None],
        on_silent: Callable[[str], None],
        timeout_s: float,
    ) -> None:
        super().__init__(daemon=True, name="localtune-post")
        self._engine_send = send
        self._on_silent = on_silent
        self._timeout_s = timeout_s
        self._lease_s = timeout_s * LEASE_SHARE
        self._pause_s = timeout_s / _PINGS
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[str, Message] | None] = queue.SimpleQueue()

    def open_line(self, node_id: str) -> None:
        """Begins to send PINGs to an agent."""
        with self._lock:
            self._lines[node_id] = _Line()

    def close_line(self, node_id: str) -> float:
        """Ends that.

        Returns:
            When the agent's lease has run out for certain, by the monotonic clock, in seconds.
        """
        with self._lock:
            line = self._lines.pop(node_id, None)
        now = time.monotonic()
        if line is None:
            return now
        asked_at = line.asked_at if line.asked_at is not None else now
        return asked_at + self._timeout_s

    def take_pong(self, node_id: str) -> None:
        """Takes in that an agent has answered. For any thread."""
        with self._lock:
            line = self._lines.get(node_id)
            if line is not None and line.asked_at is not None:
                line.answered_at, line.asked_at = line.asked_at, None
                line.next_at = time.monotonic() + self._pause_s

    def answered_at(self, node_id: str) -> float:
        """Returns when the latest PING was sent that an agent has answered; 0 if there is none."""
        with self._lock:
            line = self._lines.get(node_id)
            return line.answered_at if line is not None else 0.0

    def send(self, node_id: str, message: Message) -> None:
        """Sends a message, behind those that were sent before.

        Args:
            node_id: The node of the agent.
            message: The message.
        """
        self._waiting.put((node_id, message))

    def close(self) -> None:
        """Ends the thread. What waits is sent first."""
        self._waiting.put(None)
        self.join()

    def run(self) -> None:
        while True:
            batch = self._next_batch()
            for node_id, messages in batch.items():
                self._engine_send(node_id, frame(messages))
            if self._is_closing:
                return
            self._ping()

    _is_closing = False

    def _next_batch(self) -> dict[str, list[Message]]:
        """Waits for messages; returns them by node."""
        batch: dict[str, list[Message]] = {}
        timeout_s: float | None = self._pause_s / 2
        for _ in range(_MOST_MESSAGES):
            try:
                item = self._waiting.get(timeout_s is not None, timeout_s)
            except queue.Empty:
                break
            if item is None:
                self._is_closing = True
                break
            batch.setdefault(item[0], []).append(item[1])
            timeout_s = None
        return batch

    def _ping(self) -> None:
        now = time.monotonic()
        due: list[str] = []
        silent: list[str] = []
        with self._lock:
            for node_id, line in self._lines.items():
                if line.asked_at is None:
                    if now >= line.next_at:
                        line.asked_at = now
                        due.append(node_id)
                elif now - line.asked_at > self._timeout_s and not line.is_silent:
                    line.is_silent = True
                    silent.append(node_id)
        ping = frame([(Kind.PING, self._lease_s)])
        for node_id in due:
            self._engine_send(node_id, ping)
        for node_id in silent:
            self._on_silent(node_id)
