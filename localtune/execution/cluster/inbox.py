"""The queue between the threads of an engine and the thread of the executor."""

from __future__ import annotations

import pickle
import queue
from collections.abc import Callable
from dataclasses import dataclass

from localtune.execution.cluster.wire import FrameReader, Kind, Message


@dataclass(frozen=True, slots=True)
class Arrived:
    """Messages of an agent have arrived."""

    node_id: str
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class AgentGone:
    """An agent is gone, or is silent; ``why`` is a clause."""

    node_id: str
    why: str


class ExecutorInbox:
    """Takes in what an engine tells, and what other threads ask for.

    Args:
        on_pong: Called with the id of a node whose agent has answered a PING, in the thread of the
            engine, so that a busy executor does not look like a silent agent.
    """

    def __init__(self, on_pong: Callable[[str], None]) -> None:
        self._on_pong = on_pong
        self._queue: queue.SimpleQueue[Arrived | AgentGone | None] = queue.SimpleQueue()
        self._readers: dict[str, FrameReader] = {}

    # -- for the threads of the engine ------------------------------------------------------------

    def received(self, node_id: str, data: bytes) -> None:
        reader = self._readers.get(node_id)
        if reader is None:
            return
        try:
            found = reader.feed(data)
        except (pickle.UnpicklingError, ValueError, EOFError, MemoryError) as error:
            del self._readers[node_id]
            self.agent_ended(node_id, f"its agent sent what cannot be read: {error}")
            return
        arrived = [message for message in found if message[0] != Kind.PONG]
        if len(arrived) < len(found):
            self._on_pong(node_id)
        if arrived:
            self._queue.put(Arrived(node_id, arrived))

    def agent_ended(self, node_id: str, why: str) -> None:
        self._queue.put(AgentGone(node_id, why))

    def changed(self) -> None:
        self._queue.put(None)

    # -- for the executor -------------------------------------------------------------------------

    def expect(self, node_id: str) -> None:
        """Begins to read the messages of a new agent."""
        self._readers[node_id] = FrameReader()

    def forget(self, node_id: str) -> None:
        """Drops all that the agent of a node still sends."""
        self._readers.pop(node_id, None)

    def wake(self) -> None:
        """Ends a :meth:`take` early. May be called from any thread and from signal handlers."""
        self._queue.put(None)

    def take(self, timeout_s: float | None) -> list[Arrived | AgentGone]:
        """Waits until something has arrived, or :meth:`changed` or :meth:`wake` was called.

        Args:
            timeout_s: The most seconds to wait; None is any time.
        """
        found: list[Arrived | AgentGone] = []
        try:
            item = self._queue.get(timeout=timeout_s) if timeout_s != 0 else self._queue.get(False)
            while True:
                if item is not None:
                    found.append(item)
                item = self._queue.get(False)
        except queue.Empty:
            return found
