"""Clusters of three nodes on this machine, for the benchmarks of executors on clusters."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _common import rate, scratch_dir

from localtune.execution.cluster.engine import Engine, Inbox
from localtune.execution.cluster.local import LocalEngine
from localtune.testing.local_clusters import local_cluster

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
def agents() -> Iterator[Subject]:
    """Agents on this machine."""
    yield Subject("local", lambda: LocalEngine([{"CPU": 1}] * NODES))


@contextlib.contextmanager
def ray_cluster() -> Iterator[Subject]:
    """A cluster of Ray on this machine."""
    from localtune.execution.cluster.ray.engine import RayEngine

    _show_modules_to_nodes()
    with local_cluster("ray", NODES) as cluster:
        import ray

        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield Subject("ray", RayEngine, ray_tune_rate, ray_call_s)


@contextlib.contextmanager
def dask_cluster() -> Iterator[Subject]:
    """A cluster of Dask on this machine."""
    from localtune.execution.cluster.dask.engine import DaskEngine

    _show_modules_to_nodes()
    with local_cluster("dask", NODES) as cluster:
        yield Subject(
            "dask",
            lambda: DaskEngine(cluster.address),
            call_s=lambda calls: dask_call_s(cluster.address, calls),
        )


def _show_modules_to_nodes() -> None:
    """Lets the nodes import the modules of the benchmarks."""
    os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))


# {name: (package, cluster)}
CLUSTERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "local": ("localtune", agents),
    "ray": ("ray", ray_cluster),
    "dask": ("distributed", dask_cluster),
}


# -- Ray and Dask by themselves --------------------------------------------------------------------


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

    actor = ray.remote(num_cpus=1)(Bare).remote()
    median_s = _median_s(lambda number: ray.get(actor.step.remote(number)), calls)
    ray.kill(actor)
    return median_s


def dask_call_s(address: str, calls: int) -> float:
    """Median seconds of a call of an actor of Dask that returns a small dict."""
    from distributed import Client

    with Client(address) as client:
        actor = client.submit(Bare, actor=True).result()
        return _median_s(lambda number: actor.step(number).result(), calls)


class Bare:
    """An actor that does nothing."""

    def step(self, number: int) -> dict[str, Any]:
        """Returns a small result."""
        return {"score": number}


def _median_s(call: Callable[[int], Any], calls: int) -> float:
    times = []
    for number in range(calls):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
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
