"""The executor contract on clusters of this machine, for each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.executor import Executor
from localtune.testing.executor_contract import ExecutorContract
from localtune.testing.local_clusters import LocalCluster, local_cluster
from tests.heavy import IS_HEAVY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class ClusterContract(ExecutorContract):
    """The contract on a cluster that serves all tests, one after the other."""

    abilities = ClusterExecutor.abilities
    kind = "agents"

    @pytest.fixture(scope="class", autouse=True)
    def _cluster(self) -> Iterator[None]:
        with local_cluster(self.kind) as cluster:
            type(self).cluster = cluster
            yield

    cluster: LocalCluster

    def make_executor(self) -> Executor:
        return self.cluster.make_executor()


class TestAgents(ClusterContract):
    kind = "agents"


if IS_HEAVY:

    class TestRay(ClusterContract):
        kind = "ray"

    class TestDask(ClusterContract):
        kind = "dask"


def test_an_unknown_kind_is_refused() -> None:
    with (
        pytest.raises(ValueError, match=r"'agents', 'ray', 'dask', but got 'spark'"),
        local_cluster("spark"),
    ):
        pass


def test_nodes_that_were_killed_are_gone_and_others_join() -> None:
    with local_cluster("agents", nodes=2, cpus=3) as cluster:
        executor = cluster.make_executor()
        assert executor.resources()["CPU"] == 6
        cluster.kill_node()
        assert executor.resources()["CPU"] == 3
        cluster.add_node()
        assert executor.resources()["CPU"] == 6
