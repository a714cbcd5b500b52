"""Clusters of this machine; the tests of runs and engines use them at length."""

from __future__ import annotations

import pytest

from localtune.testing.local_clusters import local_cluster


def test_an_unknown_kind_is_refused() -> None:
    pattern = "'agents', 'ray', 'dask', but got 'spark'"
    with pytest.raises(ValueError, match=pattern), local_cluster("spark"):
        pass


def test_nodes_that_were_killed_are_gone_and_others_join() -> None:
    with local_cluster("agents", nodes=2, cpus=3) as cluster:
        executor = cluster.make_executor()
        assert executor.resources()["CPU"] == 6
        cluster.kill_node()
        assert executor.resources()["CPU"] == 3
        cluster.add_node()
        assert executor.resources()["CPU"] == 6
