"""Clusters of several nodes on this machine: for tests, for trying out, and for benchmarks.

::

    with local_cluster("ray") as cluster:
        tuner = tune.Tuner(train, executor=cluster.make_executor())

The nodes are real processes of Ray or Dask, or agents without any engine. They can be killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localtune.execution.executor import Executor
from localtune.running.named_executors import check_name, create_executor

KINDS = ("agents", "ray", "dask")
# The smallest object store that Ray takes, nearly: what localtune sends is small.
_STORE_BYTES = 80 * 1024 * 1024
_START_TIMEOUT_S = 60.0
_HOME = str(Path(__file__).parents[2])


class LocalCluster(ABC):
    """A cluster on this machine.

    Attributes:
        address: Where other processes reach it; "" if they cannot.
    """

    address = ""

    @abstractmethod
    def make_executor(self, **options: Any) -> Executor:
        """Returns an executor for this cluster.

        Args:
            **options: Further arguments of its class.
        """

    @abstractmethod
    def kill_node(self) -> None:
        """Kills a node, as if the machine had lost its power; not the one that leads."""

    @abstractmethod
    def add_node(self) -> None:
        """Starts a node like the others."""

    @abstractmethod
    def close(self) -> None:
        """Ends all nodes."""


@contextlib.contextmanager
def local_cluster(kind: str, nodes: int = 3, cpus: int = 1) -> Iterator[LocalCluster]:
    """Starts a cluster on this machine, and ends it at the end of the ``with`` block.

    Args:
        kind: ``"ray"``, ``"dask"``, or ``"agents"`` for one without an engine.
        nodes: How many nodes it has.
        cpus: How many CPUs each node says to have.

    Raises:
        ValueError: for an unknown kind.
        ExtraMissingError: if the engine is not installed.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, but got {kind!r}.")
    if kind == "agents":
        cluster: LocalCluster = _Agents(nodes, cpus)
    else:
        check_name(kind)
        cluster = _RayCluster(nodes, cpus) if kind == "ray" else _DaskCluster(nodes, cpus)
    try:
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def orphans_killed() -> Iterator[None]:
    """Kills, at the end, the descendants of this process that have lost their parents inside.

    A machine that loses its power takes all processes with it. Those of Ray live on for a while.
    """
    import psutil

    parents = {each: each.parent() for each in psutil.Process().children(recursive=True)}
    yield
    orphans = [
        each
        for each, parent in parents.items()
        if each.is_running() and not (parent is not None and parent.is_running())
    ]
    for orphan in orphans:
        with contextlib.suppress(psutil.Error):
            orphan.kill()
    psutil.wait_procs(orphans, _START_TIMEOUT_S)


class _Agents(LocalCluster):
    """Agents of this process, without an engine between."""

    def __init__(self, nodes: int, cpus: int) -> None:
        from localtune.execution.cluster.local import LocalEngine

        self._resources = {"CPU": float(cpus)}
        self.engine = LocalEngine([self._resources] * nodes)

    def make_executor(self, **options: Any) -> Executor:
        from localtune.execution.cluster.executor import ClusterExecutor

        return ClusterExecutor(self.engine, **options)

    def kill_node(self) -> None:
        self.engine.remove_node(self.engine.nodes()[-1].node_id)

    def add_node(self) -> None:
        self.engine.add_node(self._resources)

    def close(self) -> None:
        self.engine.close()


class _RayCluster(LocalCluster):
    """A cluster of Ray; its first node is the head."""

    def __init__(self, nodes: int, cpus: int) -> None:
        self._environment = dict(os.environ)
        # Ray makes sockets below it, whose paths must be short.
        self._directory = tempfile.mkdtemp(
            prefix="ray-", dir="/tmp" if os.name == "posix" else None
        )
        os.environ.update(
            RAY_TMPDIR=self._directory,
            RAY_USAGE_STATS_ENABLED="0",
            # Otherwise a busy machine gives the processes of the nodes hardly any time.
            RAY_worker_niceness="0",
            # The nodes find the same package.
            PYTHONPATH=os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")])),
        )
        os.environ.pop("RAY_ADDRESS", None)
        from ray.cluster_utils import Cluster

        self._options = {"num_cpus": cpus, "object_store_memory": _STORE_BYTES}
        head = {**self._options, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
        self._others: list[Any] = []
        for _ in range(nodes - 1):
            self.add_node()
        self.address = str(self._cluster.address)

    def make_executor(self, **options: Any) -> Executor:
        return create_executor("ray", address=self.address, **options)

    def kill_node(self) -> None:
        with orphans_killed():
            self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def add_node(self) -> None:
        self._others.append(self._cluster.add_node(**self._options))

    def close(self) -> None:
        with orphans_killed():
            sys.modules["ray"].shutdown()
            self._cluster.shutdown()
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update(self._environment)
        shutil.rmtree(self._directory, ignore_errors=True)


class _DaskCluster(LocalCluster):
    """A scheduler of Dask, and a process for each worker."""

    def __init__(self, nodes: int, cpus: int) -> None:
        self._directory = tempfile.mkdtemp(prefix="localtune-dask-")
        self._cpus = cpus
        self._workers: list[subprocess.Popen[bytes]] = []
        file = os.path.join(self._directory, "scheduler.json")
        self._scheduler = self._start(
            *("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--scheduler-file", file),
        )
        try:
            self.address = self._address_in(file)
            for _ in range(nodes):
                self.add_node()
        except BaseException:
            self.close()
            raise

    def make_executor(self, **options: Any) -> Executor:
        return create_executor("dask", cluster=self.address, **options)

    def kill_node(self) -> None:
        worker = self._workers.pop()
        worker.kill()
        worker.wait()

    def add_node(self) -> None:
        self._workers.append(
            self._start(
                *("worker", self.address, "--no-nanny", "--no-dashboard"),
                *("--nthreads", str(self._cpus), "--local-directory", self._directory),
            )
        )

    def close(self) -> None:
        for process in (*self._workers, self._scheduler):
            process.kill()
            process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")]))
        with open(os.path.join(self._directory, "log"), "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                env={
                    **os.environ,
                    "PYTHONPATH": path,
                    "DASK_TEMPORARY_DIRECTORY": self._directory,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=sys.platform != "win32",
            )

    def _address_in(self, file: str) -> str:
        """Waits for the address that the scheduler writes when it has started."""
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < give_up_at and self._scheduler.poll() is None:
            with contextlib.suppress(OSError, ValueError, KeyError), open(file, "rb") as content:
                return str(json.load(content)["address"])
            time.sleep(0.05)
        log = Path(self._directory, "log").read_text(errors="replace")
        raise RuntimeError(f"The scheduler of Dask did not start:\n{log[-2000:]}")
