"""What becomes of agents and reservations when processes of a Dask cluster come, go or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.execution.cluster.dask.sessions import (
    DEADLINE_S,
    agents,
    connected_to,
    dask_client,
    pid,
    running_cluster,
    until,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]

# -- faults -------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_takes_its_node_with_it() -> None:
    with running_cluster(2) as own, connected_to(own.address) as dask:
        dask.engine.reserve(1, [{"CPU": 2}] * 2, "STRICT_SPREAD")
        dask.granted(1)
        first, second = dask.nodes(2)
        agent = dask.start(first.node_id)
        dask.start(second.node_id)
        own.workers["w1"].kill()
        assert "Dask worker" in dask.why(first.node_id)
        until(lambda: not agent.is_running())
        assert dask.nodes(1) == [second]
        assert dask.engine.places(1) is None
        dask.engine.release(1)
        dask.engine.reserve(2, [{"CPU": 2}], "PACK")
        dask.granted(2)
        dask.check(second.node_id)


def test_a_worker_that_its_nanny_restarts_is_another_node() -> None:
    with running_cluster(1, "--nanny") as own, connected_to(own.address) as dask:
        dask.engine.reserve(1, [{"CPU": 1}], "PACK")
        dask.granted(1)
        [node] = dask.nodes(1)
        agent = dask.start(node.node_id)
        agent.parent().kill()  # type: ignore[union-attr]
        dask.why(node.node_id)
        dask.inbox.wait_until(
            lambda: any(each.node_id != node.node_id for each in dask.engine.nodes()),
            "another node",
        )
        [again] = dask.nodes(1)
        assert dask.engine.places(1) is None
        assert agents() == []
        dask.engine.reserve(2, [{"CPU": 2}], "PACK")
        assert [place.node_id for place in dask.granted(2)] == [again.node_id]
        dask.start(again.node_id)


def test_a_worker_that_is_told_to_end_ends_soon() -> None:
    with running_cluster(1) as own, connected_to(own.address) as dask:
        dask.engine.reserve(1, [{"CPU": 2}], "PACK")
        dask.granted(1)
        [node] = dask.nodes(1)
        dask.start(node.node_id)
        own.workers["w1"].terminate()
        dask.why(node.node_id)
        own.workers["w1"].wait(DEADLINE_S)
        until(lambda: not agents())


def test_a_scheduler_that_is_killed_ends_all_agents() -> None:
    with running_cluster(2) as own, connected_to(own.address) as dask:
        dask.engine.reserve(1, [{"CPU": 2}], "PACK")
        dask.granted(1)
        nodes = dask.nodes(2)
        for node in nodes:
            dask.start(node.node_id)
        own.scheduler.kill()
        for node in nodes:
            assert "scheduler" in dask.why(node.node_id)
        until(lambda: not agents(), "the end of the agents")
        assert dask.nodes(0) == []
        assert dask.engine.places(1) is None
        dask.engine.close()


PARENT = """
import sys, time
from localtune.execution.cluster.dask.engine import DaskEngine
class Inbox:
    def received(self, *args): pass
    def agent_ended(self, *args): pass
    def changed(self): pass
engine = DaskEngine(sys.argv[1])
engine.connect()
engine.listen(Inbox())
engine.reserve(1, [{"CPU": 2}] * 2, "STRICT_SPREAD")
while engine.places(1) is None:
    time.sleep(0.01)
for node in engine.nodes():
    engine.start_agent(node.node_id)
sys.stdin.read()
"""


def test_a_parent_that_is_killed_leaves_neither_agents_nor_holds() -> None:
    with running_cluster(2) as own, dask_client(own.address) as client:
        client.wait_for_workers(2)
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, own.address],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        until(lambda: len(agents()) == 2)
        parent.kill()
        parent.communicate()
        until(lambda: not agents(), "the end of the agents")
        tasks = client.map(pid, range(4), pure=False)
        until(lambda: all(task.done() for task in tasks), "the end of the holds")


def test_a_scheduler_that_is_busy_ends_nothing() -> None:
    with running_cluster(1) as own, connected_to(own.address) as dask:
        dask.engine.reserve(1, [{"CPU": 2}], "PACK")
        dask.granted(1)
        [node] = dask.nodes(1)
        agent = dask.start(node.node_id)
        own.scheduler.send_signal(signal.SIGSTOP)
        # Longer than the silence after which a guest without a mark ends. There is nothing to wait
        # for: nothing may happen in this time.
        time.sleep(9)
        own.scheduler.send_signal(signal.SIGCONT)
        dask.check(node.node_id)
        assert agent.is_running()
        assert not dask.inbox.ends
        assert dask.engine.places(1) is not None


def test_a_scheduler_that_comes_back_has_new_nodes() -> None:
    with running_cluster(1) as own, connected_to(own.address, connect_timeout_s=2) as dask:
        dask.engine.reserve(1, [{"CPU": 1}], "PACK")
        dask.granted(1)
        [old] = dask.nodes(1)
        dask.engine.reserve(2, [{"CPU": 2}], "PACK")
        own.scheduler.kill()
        own.scheduler.wait()
        dask.why(old.node_id)
        own.start_scheduler()
        own.add_node()
        [new] = dask.nodes(1)
        assert new.node_id != old.node_id
        assert [place.node_id for place in dask.granted(2)] == [new.node_id]
        assert dask.engine.places(1) is None
        dask.start(new.node_id)


# -- clusters that grow, and clusters in this process --------------------------------------------


ADAPTIVE = """
import sys
from dask.distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
IN_ONE_PROCESS = """
import time
from dask.distributed import LocalCluster
from localtune.execution.cluster.dask.engine import DaskEngine
with LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
) as cluster:
    engine = DaskEngine(cluster)
    engine.connect()
    engine.reserve(1, [{"CPU": 1}] * 2, "STRICT_SPREAD")
    while engine.places(1) is None:
        time.sleep(0.01)
    print(len(engine.nodes()))
    engine.close()
"""


def script(tmp_path: Path, text: str) -> subprocess.Popen[str]:
    """Starts a script whose output is read."""
    (tmp_path / "script.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DASK_TEMPORARY_DIRECTORY": str(tmp_path),
            # What comes with the interpreter's own warnings is not for this test.
            "DASK_LOGGING__DISTRIBUTED": "error",
        },
        text=True,
    )


def test_an_adaptive_cluster_grows_for_what_waits(tmp_path: Path) -> None:
    process = script(tmp_path, ADAPTIVE)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with connected_to(address, adaptive=True) as dask:
            assert dask.engine.grows()
            assert dask.nodes(0) == []
            for key in (1, 2):
                dask.engine.reserve(key, [{"CPU": 1}], "PACK")
            assert dask.granted(1) != dask.granted(2)
    finally:
        process.communicate()


def test_workers_in_one_process_are_nodes(tmp_path: Path) -> None:
    output, _ = script(tmp_path, IN_ONE_PROCESS).communicate()
    assert output == "2\n"


def test_workers_join_and_leave() -> None:
    with running_cluster(1) as own, connected_to(own.address) as dask:
        [first] = dask.nodes(1)
        second = own.add_node("--nthreads", "1")
        assert [node.resources["CPU"] for node in dask.nodes(2)] == [2, 1]
        second.send_signal(signal.SIGTERM)
        assert dask.nodes(1) == [first]
        second.wait()
