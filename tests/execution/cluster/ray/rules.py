"""Tests of the engine for Ray in a real cluster; ``test_engine.py`` runs them in a process.

Ray keeps descriptors, threads and handlers of signals until a process ends. So these tests have a
process of their own, and the fixtures that look for leaks do not see it from inside.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.cluster.engine import ClusterError, Engine
from localtune.execution.cluster.ray.agents import actor_class
from localtune.execution.cluster.ray.engine import RayEngine
from localtune.execution.cluster.ray.executor import RayExecutor
from localtune.testing.echo_agent import END_OF_HELLO
from localtune.testing.engine_contract import (
    CPUS,
    DEADLINE_S,
    NODES,
    EngineContract,
    EngineSession,
)
from localtune.testing.local_clusters import RayCluster, orphans_killed
from tests.small_runs import Counting

_DRIVER = """
import sys
from localtune.execution.cluster.ray.engine import RayEngine
from localtune.testing.engine_contract import CPUS, NODES, EngineSession

with EngineSession(RayEngine(sys.argv[1])) as session:
    pids = [session.start_agent(node_id) for node_id in session.node_ids()]
    for _ in range(NODES):
        session.granted(session.reserve([{"CPU": CPUS}]))
    print(*pids, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[RayCluster]:
    with contextlib.closing(RayCluster(CPUS)) as cluster:
        for number in range(1, NODES + 1):
            cluster.add_node(resources={"number": number}, num_gpus=2 if number == 1 else 0)
        yield cluster


def test_the_handler_of_a_signal_stays(cluster: RayCluster) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    engine = RayEngine(cluster.address)
    engine.connect()
    assert signal.getsignal(signal.SIGTERM) == before
    assert not any(name.startswith("RAY_gcs") for name in os.environ)


class TestRayEngine(EngineContract):
    def make_engine(self) -> Engine:
        return RayEngine()


def test_a_connection_of_the_script_is_not_for_another_address() -> None:
    with pytest.raises(ClusterError, match=r"10\.9\.8\.7:6379"):
        RayEngine("10.9.8.7:6379").connect()


def test_bundles_have_gpus_of_their_own() -> None:
    with EngineSession(RayEngine()) as session:
        keys = [session.reserve([{"CPU": 1}, {"GPU": 1}]) for _ in range(2)]
        taken = [session.granted(key) for key in keys]
        assert [places[0].gpu_ids for places in taken] == [(), ()]
        assert sorted(places[1].gpu_ids for places in taken) == [("0",), ("1",)]
        session.engine.release(keys[0])
        halves = [session.granted(session.reserve([{"GPU": 0.5}]))[0] for _ in range(2)]
        assert [place.gpu_ids for place in halves] == [taken[0][1].gpu_ids] * 2


def test_a_node_without_localtune_says_so(tmp_path: Path) -> None:
    (tmp_path / "localtune.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'localtune'\")"
    )
    engine = RayEngine(runtime_env={"env_vars": {"PYTHONPATH": str(tmp_path)}})
    with EngineSession(engine) as session:
        node_id = session.node_ids()[0]
        engine.start_agent(node_id)
        session.inbox.wait_until(lambda: node_id in session.inbox.ends, "the end of an agent")
        why = session.inbox.ends[node_id]
        assert "No module named 'localtune'" in why
        assert "localtune-runner" in why


def test_a_sweep_runs_on_the_nodes(tmp_path: Path) -> None:
    results = tune.Tuner(
        tune.with_resources(Counting, {"cpu": 1, "gpu": 0.5}),
        param_space={"steps": 3, "x": tune.grid_search([0.1, 0.2, 0.3, 0.4])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(name="run", storage_path=tmp_path, verbose=0),
        executor=RayExecutor(),
    ).fit()
    assert not results.errors
    assert [(result.metrics or {})["training_iteration"] for result in results] == [3] * 4


def test_a_directory_travels_with_a_connection_of_localtune(
    cluster: RayCluster, tmp_path: Path
) -> None:
    import ray

    code, storage = tmp_path / "code", tmp_path / "storage"
    code.mkdir()
    (code / "beside.py").write_text("LOSS = 0.5\n")

    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": __import__("beside").LOSS})

    ray.shutdown()
    try:
        for name in ("first", "second"):  # The second one takes the connection as it is.
            results = tune.Tuner(
                train,
                run_config=tune.RunConfig(name=name, storage_path=storage, verbose=0),
                executor=RayExecutor(cluster.address, runtime_env={"working_dir": str(code)}),
            ).fit()
            assert not results.errors
            assert (results[0].metrics or {})["loss"] == 0.5
    finally:
        ray.shutdown()


def test_an_environment_counts_in_a_connection_of_the_script_too(
    cluster: RayCluster, tmp_path: Path
) -> None:
    import ray

    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": float(os.environ["LOCALTUNE_TEST_LOSS"])})

    environment = {"env_vars": {"LOCALTUNE_TEST_LOSS": "0.5"}}
    ray.shutdown()
    try:
        for name in ("of_localtune", "of_the_script"):
            if name == "of_the_script":
                ray.shutdown()
                ray.init(address=cluster.address, log_to_driver=False)
            results = tune.Tuner(
                train,
                run_config=tune.RunConfig(name=name, storage_path=tmp_path, verbose=0),
                executor=RayExecutor(cluster.address, runtime_env=environment),
            ).fit()
            assert not results.errors
            assert (results[0].metrics or {})["loss"] == 0.5
    finally:
        ray.shutdown()


def test_calls_to_a_silent_agent_come_back_when_they_are_too_many() -> None:
    import ray

    with EngineSession(RayEngine()) as session:
        actor = actor_class(ray).remote("silent", session.engine.agent_module, [])
        number, hello, _ = ray.get(actor.exchange.remote(1, b""))
        assert number == 1 and hello.endswith(END_OF_HELLO)
        calls = [actor.exchange.remote(number, b"") for number in range(2, 7)]
        # Two more than may wait at the actor.
        assert ray.get(calls[:2], timeout=DEADLINE_S) == [(2, b"", ""), (3, b"", "")]
        answer = actor.exchange.remote(7, b"data")
        # The next one is too many now, unless the agent has written before it comes back.
        data = ray.get(calls[2], timeout=DEADLINE_S)[1]
        assert (data or ray.get(calls[3], timeout=DEADLINE_S)[1]) == b"data"
        actor.close.remote()
        ray.wait([*calls[4:], answer], num_returns=2, timeout=DEADLINE_S)


def test_nodes_join_and_leave(cluster: RayCluster) -> None:
    with EngineSession(RayEngine()) as session:
        before = set(session.node_ids())
        cluster.add_node(resources={"late": 1})
        session.inbox.wait_until(
            lambda: len(session.engine.nodes()) == NODES + 1, "a node that joins"
        )
        (late,) = {node.node_id for node in session.engine.nodes()} - before
        session.start_agent(late)
        key = session.reserve([{"late": 1}])
        assert session.granted(key)[0].node_id == late
        cluster.kill_node()
        session.inbox.wait_until(lambda: late in session.inbox.ends, "the end of its agent")
        session.inbox.wait_until(lambda: session.engine.places(key) is None, "a lost reservation")
        assert {node.node_id for node in session.engine.nodes()} == before
        session.engine.release(key)


def test_nothing_outlives_a_script_that_is_killed(cluster: RayCluster) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DRIVER, cluster.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout is not None
        agents = [psutil.Process(int(pid)) for pid in script.stdout.readline().split()]
        assert len(agents) == NODES
        script.kill()
    killed_at = time.monotonic()
    psutil.wait_procs(agents, DEADLINE_S)
    print(f"agents ended after {time.monotonic() - killed_at:.2f} s")
    assert not any(agent.is_running() for agent in agents)
    with EngineSession(RayEngine()) as session:
        for _ in range(NODES):
            session.granted(session.reserve([{"CPU": CPUS}]))
    print(f"resources free after {time.monotonic() - killed_at:.2f} s")


# The last one: the cluster does not live on.
def test_a_head_node_that_is_killed_ends_all_agents() -> None:
    engine = RayEngine(head_timeout_s=3.0)
    with orphans_killed():
        with EngineSession(engine) as session:
            node_ids = session.node_ids()
            agents = [psutil.Process(session.start_agent(node_id)) for node_id in node_ids]
            key = session.reserve([{"CPU": 1}])
            session.granted(key)
            for process in psutil.Process().children(recursive=True):
                if process.name() == "gcs_server":
                    process.kill()
            session.inbox.wait_until(
                lambda: len(session.inbox.ends) == NODES, "the ends of all agents"
            )
            assert set(session.inbox.ends) == set(node_ids)
            assert all("head node" in why for why in session.inbox.ends.values())
            assert engine.nodes() == []
            assert engine.places(key) is None
            engine.release(key)
        psutil.wait_procs(agents, DEADLINE_S)
        assert not any(agent.is_running() for agent in agents)
    with pytest.raises(ClusterError, match=r"head node .* does not answer"):
        engine.connect()
