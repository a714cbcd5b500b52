"""Clusters of three nodes on this machine, for the benchmarks of executors on clusters."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _common import rate, scratch_dir

from localtune.execution.cluster.engine import Engine, Inbox
from localtune.execution.cluster.local import LocalEngine

NODES = 3


@dataclass
class Subject:
    """An engine to measure.

    Attributes:
        name: Name of the engine.
        make: Connects to the cluster.
        peer_rate: Trials per second of the cluster's own library for sweeps; None without one.
        call_s: Seconds of a bare call of an actor; None without actors.
    """

    name: str
    make: Callable[[], Engine]
    peer_rate: Callable[[int], float] | None = None
    call_s: Callable[[int], float] | None = None


@contextlib.contextmanager
def local_cluster() -> Iterator[Subject]:
    """Agents on this machine."""
    yield Subject("local", lambda: LocalEngine([{"CPU": 1}] * NODES))


@contextlib.contextmanager
def ray_cluster() -> Iterator[Subject]:
    """A cluster of Ray on this machine."""
    # Ray makes sockets below it, whose paths must be short.
    directory = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ.update(
        RAY_TMPDIR=directory,
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="disabled",
        # Workers of Ray let other processes go first: the comparison must not depend on that.
        RAY_worker_niceness="0",
        # The nodes import localtune and what the trials run from here.
        PYTHONPATH=os.pathsep.join(map(os.path.abspath, filter(None, sys.path))),
    )
    os.environ.pop("RAY_ADDRESS", None)
    import ray
    from ray.cluster_utils import Cluster

    from localtune.execution.cluster.ray import RayEngine

    node = {"num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    try:
        for _ in range(NODES - 1):
            cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield Subject("ray", RayEngine, ray_tune_rate, ray_call_s)
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def dask_cluster() -> Iterator[Subject]:
    """A cluster of Dask on this machine."""
    from distributed import LocalCluster

    from localtune.execution.cluster.dask import DaskEngine

    with LocalCluster(
        n_workers=NODES, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield Subject("dask", lambda: DaskEngine(cluster))


# {name: (package, cluster)}
CLUSTERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "local": ("localtune", local_cluster),
    "ray": ("ray", ray_cluster),
    "dask": ("distributed", dask_cluster),
}


# -- Ray by itself ---------------------------------------------------------------------------------


def ray_tune_rate(trials: int) -> float:
    """Trials per second of Ray Tune on the same cluster."""
    from ray import tune as ray_tune

    ends: list[float] = []

    class Ends(ray_tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            ends.append(time.perf_counter())

    def objective(config: dict[str, Any]) -> None:
        ray_tune.report({"score": config["x"]})

    with scratch_dir() as directory:
        ray_tune.Tuner(
            objective,
            param_space={"x": ray_tune.uniform(0.0, 1.0)},
            tune_config=ray_tune.TuneConfig(num_samples=trials),
            run_config=ray_tune.RunConfig(
                storage_path=os.fspath(directory), verbose=0, callbacks=[Ends()]
            ),
        ).fit()
    return rate(ends)


def ray_call_s(calls: int) -> float:
    """Median seconds of a call of an actor that returns a small dict."""
    import ray

    class Bare:
        def step(self, number: int) -> dict[str, Any]:
            return {"score": number}

    actor = ray.remote(num_cpus=1)(Bare).remote()
    times = []
    for number in range(calls):
        began = time.perf_counter()
        ray.get(actor.step.remote(number))
        times.append(time.perf_counter() - began)
    ray.kill(actor)
    return statistics.median(times)


# -- bytes -----------------------------------------------------------------------------------------


class Counted(Engine):
    """Counts the bytes that go through an engine.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.name
        self.abilities = engine.abilities
        self.sent = self.received = 0

    def listen(self, inbox: Inbox) -> None:
        self._engine.listen(CountedInbox(self, inbox))

    def send(self, node_id: str, data: bytes) -> None:
        self.sent += len(data)
        self._engine.send(node_id, data)

    def connect(self) -> None:
        self._engine.connect()

    def nodes(self) -> Sequence[Any]:
        return self._engine.nodes()

    def grows(self) -> bool:
        return self._engine.grows()

    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        self._engine.reserve(key, bundles, strategy)

    def places(self, key: int) -> Sequence[Any] | None:
        return self._engine.places(key)

    def release(self, key: int) -> None:
        self._engine.release(key)

    def start_agent(self, node_id: str) -> None:
        self._engine.start_agent(node_id)

    def stop_agent(self, node_id: str) -> None:
        self._engine.stop_agent(node_id)

    def close(self) -> None:
        self._engine.close()


class CountedInbox:
    """Counts the bytes of agents.

    Args:
        engine: Keeps the counts.
        inbox: Gets all.
    """

    def __init__(self, engine: Counted, inbox: Inbox) -> None:
        self._engine = engine
        self._inbox = inbox
        self.agent_ended = inbox.agent_ended
        self.changed = inbox.changed

    def received(self, node_id: str, data: bytes) -> None:
        self._engine.received += len(data)
        self._inbox.received(node_id, data)
