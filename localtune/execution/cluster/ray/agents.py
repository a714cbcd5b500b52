"""The agents of a cluster of Ray: an actor per node, which holds the relay to its agent.

::

      engine               thread of calls        Ray's threads           actor: Relay
        |  send(data)         |                                              |
        |-------------------->|  write(chunk) ------------------------------>|
        |                     |<------ done, next chunk                      |
        |                     |  read() ------------------------------------>|  waits for bytes
        |                     |                  |<--------------------------|
        |  inbox.received <----------------------|                           |
        |                     |<------ next read |                           |

One chunk at a time is on its way to an actor, so that the order holds. What waits meanwhile makes
the next chunk.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Any

from localtune.execution.cluster.engine import Inbox
from localtune.utils.text import text_of

_MOST_CHUNK_BYTES = 4 * 1024 * 1024
_SHUT_DOWN = "the script has called ray.shutdown()"


def actor_class(ray: Any) -> Any:
    """Returns the class of the actors.

    It travels to the nodes by value, so that a node without localtune can say so.

    Args:
        ray: The module.
    """

    class LocaltuneAgent:
        def __init__(self, label: str, agent_module: str, keeps: list[str]) -> None:
            import os

            # Ray allows one thread to an actor without CPUs. A worker has what its trial reserves.
            if "OMP_NUM_THREADS" not in keeps and os.environ.get("OMP_NUM_THREADS") == "1":
                del os.environ["OMP_NUM_THREADS"]
            self._relay: Any = None
            self._why = ""
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

        @ray.method(concurrency_group="write")
        def write(self, data: bytes) -> None:
            if self._relay is not None:
                self._relay.write(data)

        @ray.method(concurrency_group="read")
        def read(self) -> tuple[bytes, str]:
            if self._relay is None:
                return b"", self._why
            return tuple(self._relay.read())

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
        concurrency_groups={"read": 1, "write": 1},
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
        self._is_writing = False
        self._is_over = False
        # Held while the inbox is told anything, so that nothing follows the end.
        self._telling = threading.Lock()

    def begin(self, actor: Any) -> None:
        """Takes the actor, which may not have started yet."""
        self._actor = actor
        if self._is_over:
            self._close()
            return
        self._read()
        self._write()

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
        """Sends bytes when those before them have arrived."""
        if self._is_over:
            return
        for start in range(0, len(data), _MOST_CHUNK_BYTES):
            self._waiting.append(data[start : start + _MOST_CHUNK_BYTES])
        self._write()

    def _write(self) -> None:
        if self._actor is None or self._is_over or self._is_writing or not self._waiting:
            return
        if not self._is_connected():
            self.end(_SHUT_DOWN)
            return
        self._is_writing = True
        done = self._actor.write.remote(self._next_chunk()).future()
        done.add_done_callback(lambda future: self._call(self._written, future))

    def _written(self, future: Any) -> None:
        self._is_writing = False
        error = future.exception()
        if error is not None:
            self.end(why_gone(error))
        self._write()

    def _next_chunk(self) -> bytes:
        parts = [self._waiting.popleft()]
        size = len(parts[0])
        while self._waiting and size + len(self._waiting[0]) <= _MOST_CHUNK_BYTES:
            parts.append(self._waiting.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _read(self) -> None:
        if self._is_over:
            return
        if not self._is_connected():
            self.end(_SHUT_DOWN)
            return
        self._actor.read.remote().future().add_done_callback(self._take)

    def _take(self, future: Any) -> None:
        """Takes in what a read has returned. Runs in a thread of Ray, which must not wait."""
        error = future.exception()
        if error is not None:
            self._call(self.end, why_gone(error))
            return
        data, why = future.result()
        with self._telling:
            if data and not self._is_over:
                self._inbox.received(self.node_id, data)
        if why:
            self._call(self.end, why)
        else:
            self._call(self._read)

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
