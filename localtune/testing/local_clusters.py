"""Clusters of several nodes on this machine: for tests, for trying out, and for benchmarks.

::

    with local_cluster("ray") as cluster:
        tuner = tune.Tuner(train, executor=cluster.make_executor())

The nodes are real processes of Ray or Dask, or agents without any engine. They can be killed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
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
    def add_node(self) -> object:
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
        cluster: LocalCluster = _Agents(cpus)
    else:
        check_name(kind)
        cluster = RayCluster(cpus) if kind == "ray" else DaskCluster(cpus)
    try:
        for _ in range(nodes):
            cluster.add_node()
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def orphans_killed() -> Iterator[None]:
    """Kills, at the end, the descendants of this process that have lost their parents inside.

    A machine that loses its power takes all processes with it. Those of Ray live on for a while.
    """
    import psutil

    parents: dict[psutil.Process, psutil.Process | None] = {}
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            parents[each] = each.parent()
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

    def __init__(self, cpus: int) -> None:
        from localtune.execution.cluster.local import LocalEngine

        self._resources = {"CPU": float(cpus)}
        self.engine = LocalEngine([])

    def make_executor(self, **options: Any) -> Executor:
        from localtune.execution.cluster.executor import ClusterExecutor

        return ClusterExecutor(self.engine, **options)

    def kill_node(self) -> None:
        self.engine.remove_node(self.engine.nodes()[-1].node_id)

    def add_node(self) -> None:
        self.engine.add_node(self._resources)

    def close(self) -> None:
        self.engine.close()


class RayCluster(LocalCluster):
    """A cluster of Ray, without nodes at first; the first node that is added is the head.

    Args:
        cpus: How many CPUs each node says to have.
    """

    def __init__(self, cpus: int) -> None:
        self._environment = dict(os.environ)
        # Ray makes sockets below it, whose paths must be short.
        self._directory = tempfile.mkdtemp(
            prefix="ray-", dir="/tmp" if os.name == "posix" else None
        )
        os.environ.update(
            RAY_TMPDIR=self._directory,
            RAY_USAGE_STATS_ENABLED="0",
            RAY_AUTH_MODE="disabled",
            # Otherwise a busy machine gives the processes of the nodes hardly any time.
            RAY_worker_niceness="0",
            PYTHONPATH=_path_with_package(),
        )
        os.environ.pop("RAY_ADDRESS", None)
        from ray.cluster_utils import Cluster

        self._cpus = cpus
        self._cluster = Cluster(shutdown_at_exit=False)
        self._others: list[Any] = []

    def make_executor(self, **options: Any) -> Executor:
        return create_executor("ray", address=self.address, **options)

    def kill_node(self) -> None:
        with orphans_killed():
            self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def add_node(self, **options: Any) -> None:
        """Starts a node.

        Args:
            **options: Further options of the node, such as ``num_gpus`` and ``resources``.
        """
        options = {"num_cpus": self._cpus, "object_store_memory": _STORE_BYTES, **options}
        if not self.address:
            self._cluster.add_node(include_dashboard=False, **options)
            self.address = str(self._cluster.address)
        else:
            self._others.append(self._cluster.add_node(**options))

    def close(self) -> None:
        with orphans_killed():
            sys.modules["ray"].shutdown()
            self._cluster.shutdown()
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update(self._environment)
        shutil.rmtree(self._directory, ignore_errors=True)


class DaskCluster(LocalCluster):
    """A scheduler of Dask, and a process for each worker; there are none at first.

    Args:
        cpus: How many threads each worker has.
        host: Address at which the scheduler listens.

    Attributes:
        scheduler: The process of the scheduler.
        workers: {name: process} of the workers.
    """

    def __init__(self, cpus: int, host: str = "127.0.0.1") -> None:
        self._directory = tempfile.mkdtemp(prefix="localtune-dask-")
        self._cpus = cpus
        self._host = host
        self._names = (f"w{number}" for number in itertools.count(1))
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self.start_scheduler()
        except BaseException:
            self.close()
            raise

    def start_scheduler(self) -> None:
        """Starts the scheduler, at the address that it had before."""
        file = Path(self._directory, "scheduler.json")
        file.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        self.scheduler = self._start(
            *("scheduler", "--host", self._host, "--port", port, "--no-dashboard"),
            *("--scheduler-file", str(file)),
        )
        self.address = self._address_in(file)

    def make_executor(self, **options: Any) -> Executor:
        return create_executor("dask", cluster=self.address, **options)

    def kill_node(self) -> None:
        _, worker = self.workers.popitem()
        worker.kill()
        worker.wait()

    def add_node(
        self,
        *options: str,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        scheduler: str = "",
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Starts a worker.

        Args:
            *options: Further options of the command ``dask worker``; the last of a name counts.
            environment: Environment variables that the worker has besides those of this process.
            directory: Where it starts; None is the current directory.
            scheduler: Where it finds the scheduler; "" is the scheduler's own address.
            prefix: A command that starts the command which follows it, in its own process.

        Returns:
            Its process.
        """
        name = next(self._names)
        if "--nanny" not in options:
            options = ("--no-nanny", *options)
        self.workers[name] = self._start(
            *("worker", scheduler or self.address, "--name", name, "--nthreads", str(self._cpus)),
            *("--no-dashboard", "--local-directory", self._directory, *options),
            environment=environment,
            directory=directory,
            prefix=prefix,
        )
        return self.workers[name]

    def close(self) -> None:
        processes = [*self.workers.values(), *filter(None, [getattr(self, "scheduler", None)])]
        with orphans_killed():
            for process in processes:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        prefix: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        with open(os.path.join(self._directory, f"{arguments[0]}.log"), "ab") as log:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", "dask", *arguments],
                env={
                    **os.environ,
                    "PYTHONPATH": _path_with_package(),
                    "DASK_TEMPORARY_DIRECTORY": self._directory,
                    **(environment or {}),
                },
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=sys.platform != "win32",
            )

    def _address_in(self, file: Path) -> str:
        """Waits for the address that the scheduler writes when it has started."""
        give_up_at = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < give_up_at and self.scheduler.poll() is None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                return str(json.loads(file.read_text())["address"])
            time.sleep(0.05)
        log = Path(self._directory, "scheduler.log").read_text(errors="replace")
        raise RuntimeError(f"The scheduler of Dask did not start:\n{log[-2000:]}")


def _path_with_package() -> str:
    """The variable ``PYTHONPATH`` with which nodes find the same package."""
    return os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")]))
