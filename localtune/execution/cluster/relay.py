"""Relay: the engine's process on a node, between the engine and the agent.

::

      engine               Relay                              agent (a fresh interpreter)
        |  write(data)       |  standard input                  |
        |------------------->|--------------------------------->|
        |  read()            |  standard output                 |
        |<-------------------|<---------------------------------|
        |                    |  [the process of the relay dies] |
        |                    X - - - - end of the input - - - ->|  ends all its trials

The engine's process has many threads, so the agent is never a fork of it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from localtune.execution.process.launcher import search_path

_BOOT = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
importlib.import_module(sys.argv.pop(1)).main()
"""
AGENT_MODULE = "localtune.execution.cluster.agent"
# Most bytes of one read from the agent.
_CHUNK_BYTES = 1024 * 1024
# No more is read from an agent while so much waits for the engine. Then the agent waits, too. It is
# taken as one message: Dask starts a thread for those from 10 MB on.
_MOST_WAITING_BYTES = 4 * 1024 * 1024
# An agent that is told to end, and has not ended after this time, is killed.
END_TIMEOUT_S = 5.0


class Read(NamedTuple):
    """What an agent has written.

    Attributes:
        data: Its bytes.
        ended: Why nothing follows, as a clause; "" while the agent lives.
    """

    data: bytes
    ended: str


class Relay:
    """Starts an agent and carries bytes to it and from it.

    All methods may be called from several threads. An agent that reads nothing holds up nobody.

    Args:
        label: Name of the node, for listings of processes.
        agent_module: Module whose ``main()`` the agent runs.
        path: Where the agent looks for modules; None is this process's own path.
        environment: Environment variables of the agent; None is those of this process.

    Raises:
        OSError: if the agent cannot be started.
    """

    def __init__(
        self,
        label: str = "",
        agent_module: str = AGENT_MODULE,
        path: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        import json

        path = search_path() if path is None else path
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(list(path)), agent_module, label],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=sys.platform != "win32",
        )
        self._condition = threading.Condition()
        self._arrived: list[bytes] = []
        self._ended = ""
        self._is_closing = False
        self._is_woken = False
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._pump, daemon=True, name="localtune-relay-out")
        self._writer = threading.Thread(target=self._feed, daemon=True, name="localtune-relay-in")
        self._reader.start()
        self._writer.start()

    @property
    def agent_pid(self) -> int:
        """Process id of the agent."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Writes to the agent soon, and returns at once; drops the bytes if it has ended."""
        self._waiting.put(data)

    def read(self, timeout_s: float | None = None) -> Read:
        """Waits until the agent has written, has ended, or the time is over; see :meth:`wake`.

        Args:
            timeout_s: The most seconds to wait; None is any time.
        """
        with self._condition:
            self._condition.wait_for(
                lambda: self._arrived or self._ended or self._is_woken, timeout_s
            )
            self._is_woken = False
            arrived, self._arrived = self._arrived, []
            self._condition.notify_all()
            return Read(b"".join(arrived), self._ended)

    def wake(self) -> None:
        """Lets the call of :meth:`read` that waits return at once, else the next one."""
        with self._condition:
            self._is_woken = True
            self._condition.notify_all()

    def kill(self) -> None:
        """Kills the agent. Its guard ends the agent's workers."""
        self._process.kill()

    def end(self) -> None:
        """Tells the agent to end with all its workers; :meth:`close` waits for it."""
        self._waiting.put(None)

    def close(self) -> None:
        """Ends the agent, and kills it if it does not end; closes the pipes."""
        self.end()
        with self._condition:
            self._is_closing = True
            self._condition.notify_all()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        # The pipes of an ended process wake up both threads.
        for thread in (self._reader, self._writer):
            thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _may_read(self) -> bool:
        return self._is_closing or sum(map(len, self._arrived)) < _MOST_WAITING_BYTES

    def _feed(self) -> None:
        """Writes what waits to the agent, at whose end it closes the pipe."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):
            while (data := self._waiting.get()) is not None:
                pipe.write(data)
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while True:
            try:
                data = os.read(fd, _CHUNK_BYTES)
            except OSError:
                data = b""
            if not data:
                break
            with self._condition:
                self._arrived.append(data)
                self._condition.notify_all()
                self._condition.wait_for(self._may_read)
        code = self._process.wait()
        self._waiting.put(None)
        with self._condition:
            self._ended = f"its agent ended with exit code {code}"
            self._condition.notify_all()
