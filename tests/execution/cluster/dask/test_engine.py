"""The engine for Dask, with a scheduler and workers that are real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.execution.cluster.dask.engine import DaskEngine
from localtune.execution.cluster.dask.executor import DaskExecutor
from localtune.execution.cluster.engine import ClusterError, Engine
from localtune.execution.executor import Executor
from localtune.testing.engine_contract import CPUS, NODES, AddressContract, EngineContract
from localtune.testing.executor_contract import ExecutorContract
from localtune.testing.local_clusters import DaskCluster
from tests.execution.cluster.dask.sessions import (
    DaskTestSession,
    connected_to,
    dask_client,
    pid,
    running_cluster,
    until,
    wait_for_gate,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    """Three workers with two threads and two GPUs each; no test changes it."""
    with running_cluster(NODES, "--nthreads", str(CPUS), "--resources", "GPU=2") as found:
        yield found


@pytest.fixture
def dask(cluster: DaskCluster) -> Iterator[DaskTestSession]:
    with connected_to(cluster.address) as found:
        found.nodes(NODES)
        yield found


class TestDaskEngine(EngineContract, AddressContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: DaskCluster) -> None:
        self.address = cluster.address

    def make_engine(self) -> Engine:
        return DaskEngine(self.address)

    def engine_at(self, address: str) -> Engine:
        return DaskEngine(address, connect_timeout_s=1)


# -- nodes and connections ----------------------------------------------------------------------


def test_each_worker_is_a_node_with_its_threads_and_declared_resources(
    dask: DaskTestSession,
) -> None:
    nodes = dask.nodes(3)

    assert [node.name for node in nodes] == [
        f"{socket.gethostname()} (Dask worker w{number})" for number in (1, 2, 3)
    ]
    for node in nodes:
        assert {name: node.resources[name] for name in ("CPU", "GPU")} == {"CPU": 2, "GPU": 2}
        assert node.resources["memory"] > 0
        assert node.ip == "127.0.0.1"
    assert dask.engine.abilities.reserves == frozenset({"CPU", "GPU"})


def test_a_client_that_is_passed_stays_open(cluster: DaskCluster) -> None:
    with dask_client(cluster.address) as client:
        with connected_to(client) as dask:
            dask.nodes(3)
        assert client.submit(sum, [1, 2]).result() == 3


def test_the_address_comes_from_the_configuration_of_dask(cluster: DaskCluster) -> None:
    import dask as dask_package

    with (
        dask_package.config.set({"scheduler-address": cluster.address}),
        connected_to(None) as dask,
    ):
        dask.nodes(3)


@pytest.mark.parametrize(
    ("cluster_argument", "words"),
    [(None, "set the environment variable DASK_SCHEDULER_ADDRESS"), (8786, "but got 8786")],
)
def test_no_address_is_an_error(cluster_argument: Any, words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        DaskEngine(cluster_argument).connect()


# -- agents -------------------------------------------------------------------------------------


def test_bytes_arrive_in_order_when_all_threads_are_held(dask: DaskTestSession) -> None:
    dask.engine.reserve(1, [{"CPU": 2}] * 3, "STRICT_SPREAD")
    dask.granted(1)
    node_id = dask.nodes(3)[0].node_id
    dask.start(node_id)

    parts = [bytes([number % 256]) * (1 + number * 37 % 5000) for number in range(300)]
    for part in parts:
        dask.engine.send(node_id, part)
    whole = b"".join(parts)
    assert dask.echo(node_id, len(whole)) == whole


# The environment of the tests has localtune, and Python loads this file at its start.
WITHOUT = """
import sys

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "localtune":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without)
"""


def test_a_worker_without_localtune_says_so(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    with running_cluster(0) as own:
        # Python looks for modules in the directory where the worker starts, too.
        own.add_node(environment={"PYTHONPATH": str(tmp_path)}, directory=str(tmp_path))
        with connected_to(own.address) as dask:
            [node] = dask.nodes(1)
            dask.engine.reserve(1, [{"CPU": 1}], "PACK")
            assert [place.node_id for place in dask.granted(1)] == [node.node_id]
            dask.engine.start_agent(node.node_id)
            assert "localtune is not installed" in dask.why(node.node_id)


# -- reservations -------------------------------------------------------------------------------


def test_fractions_share_a_thread_and_a_gpu(dask: DaskTestSession) -> None:
    for key in range(1, 13):
        dask.engine.reserve(key, [{"CPU": 0.5, "GPU": 0.5}], "PACK")
    places = [dask.granted(key)[0] for key in range(1, 13)]

    for node in dask.nodes(3):
        ids = [place.gpu_ids for place in places if place.node_id == node.node_id]
        assert sorted(ids) == [("0",), ("0",), ("1",), ("1",)]
    for key in range(1, 13):
        dask.engine.release(key)


def test_other_jobs_see_what_is_held_as_taken(cluster: DaskCluster, dask: DaskTestSession) -> None:
    dask.engine.reserve(1, [{"CPU": 2, "GPU": 2}] * 3, "STRICT_SPREAD")
    dask.granted(1)
    with dask_client(cluster.address) as client:
        threads = client.map(pid, range(6), pure=False)
        gpu = client.submit(pid, 0, resources={"GPU": 1}, pure=False)
        assert len(client.processing()) == 3
        assert not any(future.done() for future in [*threads, gpu])
        dask.engine.release(1)
        assert len(set(client.gather([*threads, gpu]))) == 3


def test_a_reservation_waits_for_the_tasks_of_others(
    cluster: DaskCluster, dask: DaskTestSession
) -> None:
    from dask.distributed import Event

    with dask_client(cluster.address) as client:
        gate = Event(client.id, client=client)
        occupied = client.map(wait_for_gate, [client.id] * 6, pure=False)
        until(lambda: sum(map(len, client.processing().values())) == 6)
        dask.engine.reserve(1, [{"CPU": 1}], "PACK")
        until(lambda: sum(map(len, client.processing().values())) == 7)
        assert dask.engine.places(1) is None
        gate.set()
        dask.granted(1)
        client.gather(occupied)


def test_a_reservation_goes_to_the_node_that_others_leave_free(
    cluster: DaskCluster, dask: DaskTestSession
) -> None:
    from dask.distributed import Event

    with dask_client(cluster.address) as client:
        gate = Event(client.id, client=client)
        busy = sorted(client.nthreads())[:2]
        occupied = [
            client.submit(wait_for_gate, client.id, workers=[busy[number % 2]], pure=False)
            for number in range(4)
        ]
        until(lambda: sum(map(len, client.processing().values())) == 4)
        for key in (1, 2):
            dask.engine.reserve(key, [{"CPU": 1}], "PACK")
        [one], [two] = dask.granted(1), dask.granted(2)
        assert one.node_id == two.node_id
        assert not gate.is_set()
        gate.set()
        client.gather(occupied)


def test_what_is_asked_for_in_vain_is_released(dask: DaskTestSession) -> None:
    dask.engine.reserve(1, [{"CPU": 2}] * 3, "STRICT_SPREAD")
    dask.granted(1)
    dask.engine.reserve(2, [{"CPU": 1}], "PACK")
    dask.engine.release(2)
    dask.engine.release(1)
    dask.engine.reserve(3, [{"CPU": 2}] * 3, "STRICT_SPREAD")
    dask.granted(3)
    assert dask.engine.places(2) is None


def test_close_gives_everything_back(cluster: DaskCluster) -> None:
    with connected_to(cluster.address) as dask:
        dask.engine.reserve(1, [{"CPU": 2, "GPU": 2}] * 3, "STRICT_SPREAD")
        dask.granted(1)
        for node in dask.nodes(3):
            dask.start(node.node_id)
    with dask_client(cluster.address) as client:
        until(lambda: not any(client.processing().values()))
        assert client.submit(pid, 0, resources={"GPU": 2}, pure=False).result() > 0


# -- whole runs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_cluster() -> Iterator[DaskCluster]:
    """Three workers with one thread each, whose agents are real."""
    with running_cluster(0) as found:
        for _ in range(3):
            found.add_node("--nthreads", "1")
        with connected_to(found.address) as dask:
            dask.nodes(3)
        yield found


class TestDaskExecutor(ExecutorContract):
    abilities = DaskExecutor.abilities

    @pytest.fixture(autouse=True)
    def _cluster(self, real_cluster: DaskCluster) -> None:
        self.address = real_cluster.address

    def make_executor(self) -> Executor:
        return DaskExecutor(self.address)


def test_the_file_of_a_command_travels_to_the_nodes(
    real_cluster: DaskCluster, tmp_path: Path
) -> None:
    (tmp_path / "objective.py").write_text(
        "import localtune as tune\nLOSS = 0.5\n"
        "def train(config):\n    tune.report({'loss': LOSS * config['x']})\n"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "localtune", "run", "objective.py:train", "--json"),
            *("--param", "x=grid_search([1, 2])", "--metric", "loss", "--mode", "min"),
            *("--storage", str(tmp_path / "storage")),
            *("--executor", f"dask(cluster={real_cluster.address!r})"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0.5" in run.stdout
