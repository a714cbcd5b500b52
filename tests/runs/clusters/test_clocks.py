"""Nodes of Dask whose clocks are an hour off."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from localtune.schedulers import ASHAScheduler
from localtune.testing.local_clusters import DaskCluster
from tests.execution.cluster.dask.sessions import connected_to
from tests.runs.clusters.clocks import HOUR_S, clock_that_is_off, off_here_s
from tests.small_runs import Counting, checkpoint_names, make_tuner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

STEPS = 5


class TellsTime(Counting):
    """Tells how far its clock is off."""

    def step(self) -> dict[str, Any]:
        return {**super().step(), "off_s": off_here_s()}


def test_clocks_that_are_an_hour_off_change_neither_durations_nor_what_is_kept(
    tmp_path: Path,
) -> None:
    with contextlib.closing(DaskCluster(1)) as cluster:
        for off_s in (HOUR_S, -HOUR_S):
            cluster.add_node(environment=clock_that_is_off(off_s, tmp_path / "modules"))
        with connected_to(cluster.address) as dask:
            dask.nodes(2)
        began = time.monotonic()
        results = make_tuner(
            TellsTime,
            tmp_path,
            {"steps": STEPS},
            executor=cluster.make_executor(node_timeout_s=30.0),
            num_samples=6,
            metric="loss",
            mode="min",
            scheduler=ASHAScheduler(time_attr="time_total_s", max_t=600, grace_period=300),
            stop={"time_total_s": 600},
            checkpoint_frequency=1,
            num_to_keep=1,
        ).fit()
        took_s = time.monotonic() - began
    assert not results.errors
    offs: set[float] = set()
    for result in results:
        frame = result.metrics_dataframe
        assert frame is not None
        # Neither the stopper nor the scheduler has seen an hour pass.
        assert list(frame["count"]) == list(range(1, STEPS + 1))
        assert frame["time_this_iter_s"].between(0, took_s).all()
        assert frame["time_total_s"].between(0, took_s).all()
        assert frame["time_total_s"].is_monotonic_increasing
        assert frame["time_since_restore"].between(0, took_s).all()
        offs.update(frame["off_s"])
        real_s = frame["timestamp"] - frame["off_s"]
        assert (abs(real_s - time.time()) < HOUR_S / 2).all()
        assert checkpoint_names(result) == [f"checkpoint_{STEPS - 1:06d}"]
    assert offs == {HOUR_S, -HOUR_S}
