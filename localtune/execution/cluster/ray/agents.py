"""The agents of a cluster of Ray: an actor per node, which holds the relay to its agent.

::

      engine               thread of calls        Ray's threads           actor: Relay
        |  send(data)         |                                              |
        |-------------------->|  exchange(3, data) ------------------------->|  to the agent
        |                     |                                              |
        |                     |                  |<-- (1, bytes) ------------|  from the agent
        |  inbox.received <----------------------|                           |

Each call carries bytes to the agent and comes back with bytes from it, so an answer of a worker
costs one call. Some calls always wait at the actor for what the agent writes; when they are too
many, the first one comes back with nothing. Calls have numbers: Ray may let one overtake another.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Any

from localtune.execution.cluster.engine import Inbox
from localtune.utils.text import text_of

_MOST_CHUNK_BYTES = 4 * 1024 * 1024
# At least so many calls are on their way or wait at the actor, and at most.
_LEAST_CALLS = 2
_MOST_CALLS = 6
# With more calls at the actor, the first one comes back without waiting for the agent.
_MOST_WAITING = 3
_SHUT_DOWN = "the script has called ray.shutdown()"


def actor_class(ray: Any) -> Any:
    """Returns the class of the actors.

    It travels to the nodes by value, so that a node without localtune can say so.

    Args:
        ray: The module.
    """

    most_waiting = _MOST_WAITING

    class LocaltuneAgent:
        def __init__(self, label: str, agent_module: str, keeps: list[str]) -> None:
            import os
            import threading

            # Ray allows one thread to an actor without CPUs. A worker has what its trial reserves.
            if "OMP_NUM_THREADS" not in keeps and os.environ.get("OMP_NUM_THREADS") == "1":
                del os.environ["OMP_NUM_THREADS"]
            self._relay: Any = None
            self._why = ""
            self._condition = threading.Condition()
            self._early: dict[int, bytes] = {}
            self._written = 0  # number of the latest call whose bytes went to the agent
            self._answered = 0  # number of the latest call that came back
            try:
                from localtune.execution.cluster.relay import Relay

                self._relay = Relay(label, agent_module)
            except ImportError as error:
                self._why = (
                    f"localtune cannot be imported there ({error}): install localtune-runner on "
                    'every node, or pass runtime_env={"pip": ["localtune-runner"]}'
                )
            except OSError as error:
                self._why = f"its agent cannot be started: {error}"

        @ray.method(concurrency_group="exchange")
        def exchange(self, number: int, data: bytes) -> tuple[int, bytes, str]:
            if self._relay is None:
                return number, b"", self._why
            with self._condition:
                self._early[number] = data
                while self._written + 1 in self._early:
                    self._written += 1
                    self._relay.write(self._early.pop(self._written))
                self._condition.notify_all()
                if self._has_too_many():
                    self._relay.wake()
                self._condition.wait_for(lambda: self._answered + 1 == number <= self._written)
                timeout_s = 0.0 if self._has_too_many() else None
            data, ended = self._relay.read(timeout_s)
            with self._condition:
                self._answered = number
                self._condition.notify_all()
            return number, data, ended

        def _has_too_many(self) -> bool:
            return self._written - self._answered > most_waiting

        def close(self) -> None:
            import ray

            if self._relay is not None:
                self._relay.close()
            # The head node may be away, and nobody else ends this process then.
            ray.actor.exit_actor()

    return ray.remote(
        num_cpus=0,
        max_restarts=0,
        max_task_retries=0,
        concurrency_groups={"exchange": _MOST_CALLS},
    )(LocaltuneAgent)


class RayAgent:
    """The parent's end of the line to an agent.

    All methods but :meth:`stop` are for the thread of calls.

    Args:
        node_id: The node.
        call: Lets the thread of calls call a function.
        inbox: Gets the bytes of the agent, and word of its end.
        is_connected: Whether this process is connected to Ray. A call of an actor would connect it
            again, or start a new cluster.
        kill: Kills an actor, in another thread.

    Attributes:
        has_closed: Set when a stopped agent has ended, or there is none to wait for.
    """

    def __init__(
        self,
        node_id: str,
        call: Callable[..., None],
        inbox: Inbox,
        is_connected: Callable[[], bool],
        kill: Callable[[Any], None],
    ) -> None:
        self.node_id = node_id
        self.has_closed = threading.Event()
        self._call = call
        self._inbox = inbox
        self._is_connected = is_connected
        self._kill = kill
        self._actor: Any = None
        self._waiting: collections.deque[bytes] = collections.deque()
        # Numbers of the latest call, and of the latest answer whose bytes the inbox has. Answers
        # that have overtaken it wait.
        self._calls = self._answers = 0
        self._early: dict[int, tuple[bytes, str]] = {}
        self._is_over = False
        # Held while the inbox is told anything, so that nothing follows the end.
        self._telling = threading.Lock()

    def begin(self, actor: Any) -> None:
        """Takes the actor, which may not have started yet."""
        self._actor = actor
        if self._is_over:
            self._close()
            return
        self._exchange()

    def end(self, why: str) -> None:
        """Tells the inbox that the agent is gone.

        Args:
            why: The reason, as a clause.
        """
        with self._telling:
            if self._is_over:
                self.has_closed.set()
                return
            self._is_over = True
            self._inbox.agent_ended(self.node_id, why)
        self._forget()

    def stop(self) -> None:
        """Lets the agent end; tells nothing any more. For any thread."""
        with self._telling:
            was_over, self._is_over = self._is_over, True
        if was_over:
            self.has_closed.set()
        else:
            self._call(self._close)

    def send(self, data: bytes) -> None:
        """Sends bytes, behind those that were sent before."""
        if self._is_over:
            return
        for start in range(0, len(data), _MOST_CHUNK_BYTES):
            self._waiting.append(data[start : start + _MOST_CHUNK_BYTES])
        self._exchange()

    def _exchange(self) -> None:
        """Calls the actor as long as there is a reason for it."""
        while self._actor is not None and not self._is_over:
            under_way = self._calls - self._answers
            if under_way >= (_MOST_CALLS if self._waiting else _LEAST_CALLS):
                return
            if not self._is_connected():
                self.end(_SHUT_DOWN)
                return
            self._calls += 1
            data = self._next_chunk() if self._waiting else b""
            self._actor.exchange.remote(self._calls, data).future().add_done_callback(self._take)

    def _next_chunk(self) -> bytes:
        parts = [self._waiting.popleft()]
        size = len(parts[0])
        while self._waiting and size + len(self._waiting[0]) <= _MOST_CHUNK_BYTES:
            parts.append(self._waiting.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _take(self, future: Any) -> None:
        """Takes in what a call has returned. Runs in a thread of Ray, which must not wait."""
        error = future.exception()
        if error is not None:
            self._call(self.end, why_gone(error))
            return
        number, data, ended = future.result()
        with self._telling:
            self._early[number] = data, ended
            while self._answers + 1 in self._early:
                self._answers += 1
                data, ended = self._early.pop(self._answers)
                if data and not self._is_over:
                    self._inbox.received(self.node_id, data)
        if ended:
            self._call(self.end, ended)
        else:
            self._call(self._exchange)

    def _close(self) -> None:
        if self._actor is None:
            return  # begin() comes back to this.
        if not self._is_connected():
            self._forget()
            return
        closing = self._actor.close.remote().future()
        closing.add_done_callback(lambda _: self._call(self._forget))

    def _forget(self) -> None:
        self._waiting.clear()
        actor, self._actor = self._actor, None
        if actor is not None:
            if self._is_connected():
                actor.close.remote()  # In case that the head node cannot be asked to kill it.
            self._kill(actor)
        self.has_closed.set()


def why_gone(error: BaseException) -> str:
    """Returns why an actor is gone, as a clause.

    Args:
        error: What Ray has raised.
    """
    lines = [line.strip() for line in text_of(error).splitlines()]
    # Lines with a name and a value, such as the id of the actor, are of no use to the user.
    told = [line for line in lines if line and not line.split(" ")[0].endswith(":")]
    return f"{type(error).__name__}: {' '.join(told)[:500]}"
