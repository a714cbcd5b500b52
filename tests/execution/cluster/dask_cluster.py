"""A Dask cluster of real processes on this machine, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from localtune.execution.cluster.dask import DaskEngine
from localtune.execution.cluster.engine import Node
from localtune.testing.engine_contract import EngineSession
from tests.leaks import PROCESS_MARK

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60.0


def until(condition: Callable[[], Any], what: str = "", deadline_s: float = DEADLINE_S) -> Any:
    """Waits until a condition holds, and returns its value."""
    give_up_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"{what or condition} did not come true"
        time.sleep(0.02)
    return value


_WITHOUT = """
import sys

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "localtune":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without)
"""


class DaskCluster:
    """A scheduler and workers, each a process.

    Args:
        directory: For files, and the logs of the processes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DASK_TEMPORARY_DIRECTORY": str(directory),
        }
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._file = directory / "scheduler.json"
        self.address = ""
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """Starts the scheduler, at the address that it had before."""
        self._file.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        self.scheduler = self._start(
            *("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
            *("--scheduler-file", str(self._file)),
        )
        self.address = until(lambda: _address_in(self._file), "the scheduler")

    def add_worker(
        self, name: str, *options: str, threads: int = 2, has_localtune: bool = True
    ) -> subprocess.Popen[bytes]:
        """Starts a worker."""
        environ = dict(self._environ)
        if not has_localtune:
            # The environment of the tests has it, and Python loads this file at its start.
            hides = self._directory / "without"
            hides.mkdir(exist_ok=True)
            (hides / "sitecustomize.py").write_text(_WITHOUT)
            environ["PYTHONPATH"] = str(hides)
        if "--nanny" not in options:
            options = (*options, "--no-nanny")
        self.workers[name] = self._start(
            *("worker", self.address, "--name", name, "--nthreads", str(threads)),
            *("--no-dashboard", *options),
            environ=environ,
            # Python looks for modules in the directory where the worker starts.
            directory=None if has_localtune else self._directory,
        )
        return self.workers[name]

    def _start(
        self,
        *arguments: str,
        environ: dict[str, str] | None = None,
        directory: Path | None = None,
    ) -> Any:
        with open(self._directory / f"{arguments[0]}.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                env=environ or self._environ,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        """Kills all processes."""
        for process in [*self.workers.values(), self.scheduler]:
            kill(process)


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


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a process with all that it has started, and waits for it."""
    descendants = []
    with contextlib.suppress(psutil.Error):
        descendants = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for each in descendants:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait()


@contextlib.contextmanager
def running_cluster(workers: int = 3, *options: str) -> Iterator[DaskCluster]:
    """Runs a cluster with some workers of two threads."""
    directory = Path(tempfile.mkdtemp(prefix="dask-cluster-"))
    cluster = DaskCluster(directory)
    try:
        for number in range(1, workers + 1):
            cluster.add_worker(f"w{number}", *options)
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(directory)


def _address_in(file: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads(file.read_text())["address"])
    return ""
