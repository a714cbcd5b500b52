"""Dask clusters of real processes on this machine, and connections to them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from localtune.execution.cluster.dask.engine import DaskEngine
from localtune.execution.cluster.engine import Node
from localtune.testing.engine_contract import EngineSession
from localtune.testing.local_clusters import DaskCluster
from tests.leaks import PROCESS_MARK

DEADLINE_S = 60.0


def until(condition: Callable[[], Any], what: str = "", deadline_s: float = DEADLINE_S) -> Any:
    """Waits until a condition holds, and returns its value."""
    give_up_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"{what or condition} did not come true"
        time.sleep(0.02)
    return value


class DaskTestSession(EngineSession):
    """A connected engine, with its inbox."""

    engine: DaskEngine

    def nodes(self, count: int) -> list[Node]:
        """Waits until there are so many nodes; returns them by their names."""
        self.inbox.wait_until(lambda: len(self.engine.nodes()) == count, f"{count} nodes")
        return sorted(self.engine.nodes(), key=lambda node: node.name)

    def start(self, node_id: str) -> psutil.Process:
        """Starts an agent; returns its process."""
        return psutil.Process(self.start_agent(node_id))

    def check(self, node_id: str, data: bytes = b"still there") -> None:
        """Sends bytes to an agent, and compares what comes back."""
        self.engine.send(node_id, data)
        assert self.echo(node_id, len(data)) == data

    def why(self, node_id: str) -> str:
        """Waits until an agent has ended; returns the reason."""
        self.inbox.wait_until(lambda: node_id in self.inbox.ends, "the end of an agent")
        return self.inbox.ends[node_id]


@contextlib.contextmanager
def connected_to(cluster: Any, **arguments: Any) -> Iterator[DaskTestSession]:
    """Connects an engine to a cluster; its agents must end with it."""
    session = DaskTestSession(DaskEngine(cluster, **arguments))
    with session:
        yield session
    until(lambda: not agents(), "the end of the agents")


@contextlib.contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """Connects another job to a cluster."""
    from dask.distributed import Client

    with Client(address, set_as_default=False) as client:
        yield client


def agents() -> list[psutil.Process]:
    """Returns the processes of agents that the running tests have started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if (
                "importlib.import_module(sys.argv.pop(1)).main()" in " ".join(process.cmdline())
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(PROCESS_MARK) == os.environ[PROCESS_MARK]
            ):
                found.append(process)
    return found


def pid(_: int) -> int:
    """A task for workers."""
    return os.getpid()


def wait_for_gate(name: str) -> None:
    """A task that runs until an event of Dask is set."""
    from dask.distributed import Event

    Event(name).wait()


@contextlib.contextmanager
def running_cluster(workers: int = 3, *options: str) -> Iterator[DaskCluster]:
    """Runs a cluster with some workers of two threads."""
    with contextlib.closing(DaskCluster(cpus=2)) as cluster:
        for _ in range(workers):
            cluster.add_node(*options)
        yield cluster
