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

import os
import subprocess
import sys
import threading
from typing import NamedTuple

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from localtune.execution.cluster.agent import main
main()
"""
# Most bytes of one read from the agent.
_CHUNK_BYTES = 1024 * 1024


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

    :meth:`write` and :meth:`read` may be called from two threads.

    Args:
        label: Name of the node, for listings of processes.

    Raises:
        OSError: if the agent cannot be started.
    """

    def __init__(self, label: str = "") -> None:
        import json

        path = [os.path.abspath(entry) for entry in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(path), label],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=sys.platform != "win32",
        )
        self._condition = threading.Condition()
        self._arrived: list[bytes] = []
        self._ended = ""
        self._reader = threading.Thread(target=self._pump, daemon=True, name="localtune-relay")
        self._reader.start()

    @property
    def agent_pid(self) -> int:
        """Process id of the agent."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Writes to the agent; drops the bytes if it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (OSError, ValueError):
            return  # read() tells how it has ended.

    def read(self, timeout_s: float | None = None) -> Read:
        """Waits until the agent has written, has ended, or the time is over.

        Args:
            timeout_s: The most seconds to wait; None is any time.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._arrived or self._ended, timeout_s)
            arrived, self._arrived = self._arrived, []
            return Read(b"".join(arrived), self._ended)

    def kill(self) -> None:
        """Kills the agent. Its guard ends the agent's workers."""
        self._process.kill()

    def close(self) -> None:
        """Kills the agent, waits for its end, and closes the pipes."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None and self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:
                pass

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
        code = self._process.wait()
        with self._condition:
            self._ended = f"its agent ended with exit code {code}"
            self._condition.notify_all()
