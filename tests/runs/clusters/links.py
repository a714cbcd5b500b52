"""Links to a node that a test cuts and joins again, while every process lives on.

::

      scheduler ------ Link ------ Dask worker -- agent -- worker of a trial
                        |
                 cut(): nothing goes through, and no connection ends
                 join(): what was sent meanwhile arrives
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from typing import Any

from localtune.testing.local_clusters import DaskCluster


class Link(ABC):
    """A link between the scheduler and one worker.

    Attributes:
        host: Where the scheduler must listen.
    """

    host: str

    @abstractmethod
    def add_node(
        self, cluster: DaskCluster, *options: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Starts a worker at the other end; returns its process."""

    @abstractmethod
    def cut(self) -> None:
        """Lets nothing through from now on."""

    @abstractmethod
    def join(self) -> None:
        """Lets everything through again."""

    @abstractmethod
    def close(self) -> None:
        """Removes the link."""


class NamespaceLink(Link):
    """The cable of a network namespace, which is unplugged. Needs the rights to make one."""

    _count = 0

    def __init__(self) -> None:
        NamespaceLink._count += 1
        # Names of network devices have 15 characters at most.
        self._name = f"lt{os.getpid()}x{NamespaceLink._count}"
        # A network of two addresses, from the range that is set aside for tests.
        block = (os.getpid() + NamespaceLink._count) % 2**14 * 4
        net = f"198.18.{block // 256}.{block % 256}"
        base = net.rpartition(".")
        self.host = f"{base[0]}.{int(base[2]) + 1}"
        there = f"{base[0]}.{int(base[2]) + 2}"
        try:
            _ip("netns", "add", self._name)
            _ip("link", "add", self._name, "type", "veth", "peer", "eth0", "netns", self._name)
            _ip("address", "add", f"{self.host}/30", "dev", self._name)
            _ip("link", "set", self._name, "up")
            self._inside("address", "add", f"{there}/30", "dev", "eth0")
            self._inside("link", "set", "lo", "up")
            self.join()
        except BaseException:
            self.close()
            raise

    def add_node(
        self, cluster: DaskCluster, *options: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        prefix = ("ip", "netns", "exec", self._name)
        return cluster.add_node(*options, environment=environment, prefix=prefix)

    def cut(self) -> None:
        self._inside("link", "set", "eth0", "down")

    def join(self) -> None:
        self._inside("link", "set", "eth0", "up")

    def close(self) -> None:
        # The device lives as long as a process is in the namespace, or a connection of one.
        for command in (("link", "delete", self._name), ("netns", "delete", self._name)):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                _ip(*command)

    def _inside(self, *command: str) -> None:
        _ip("-n", self._name, *command)


def _ip(*command: str) -> None:
    done = subprocess.run(["ip", *command], capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise OSError(f"ip {' '.join(command)}: {done.stderr.strip()}")


def may_make_namespaces() -> bool:
    """Returns whether this process can make network namespaces: has the rights and the commands."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return False
    try:
        NamespaceLink().close()
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class ProxyLink(Link):
    """Two proxies, one for each direction in which connections are made. Works everywhere."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-proxy")
        self._thread.start()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []

    def add_node(
        self, cluster: DaskCluster, *options: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        to_scheduler = self._forward(int(cluster.address.rpartition(":")[2]))
        port = _free_port()
        return cluster.add_node(
            *("--listen-address", f"tcp://{self.host}:{port}"),
            *("--contact-address", f"tcp://{self.host}:{self._forward(port)}", *options),
            environment=environment,
            scheduler=f"tcp://{self.host}:{to_scheduler}",
        )

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._is_open.clear)

    def join(self) -> None:
        self._loop.call_soon_threadsafe(self._is_open.set)

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, job: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(30)

    def _forward(self, port: int) -> int:
        """Begins to forward connections to a port; returns the port where to connect instead."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
                await self._is_open.wait()
                there_reads, there_writes = await asyncio.open_connection(self.host, port)
                with contextlib.closing(there_writes):
                    await asyncio.gather(
                        self._pump(reader, there_writes), self._pump(there_reads, writer)
                    )
            self._tasks.discard(task)

        async def serve() -> int:
            server = await asyncio.start_server(take, self.host, 0)
            self._servers.append(server)
            found: int = server.sockets[0].getsockname()[1]
            return found

        number: int = self._call(serve())
        return number

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            await self._is_open.wait()
            writer.write(data)
            await writer.drain()
        await self._is_open.wait()
        writer.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # The transports of closed connections end in the next turns of the loop.
        for server in self._servers:
            await server.wait_closed()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number
