"""A run on a cluster of Dask that has nothing free, or no nodes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from localtune.execution.cluster import executor
from localtune.testing.local_clusters import DaskCluster
from tests.execution.cluster.dask.sessions import (
    dask_client,
    running_cluster,
    until,
    wait_for_gate,
)
from tests.small_runs import Counting, make_tuner

pytestmark = pytest.mark.slow


class Warned(logging.Handler):
    """Keeps warnings of the executor inside a ``with`` block, and calls a function at each.

    Args:
        act: The function.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.act()

    def __enter__(self) -> Warned:
        executor.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        executor.logger.removeHandler(self)


def test_a_run_says_that_it_waits_for_other_jobs_and_goes_on_when_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask.distributed import Event

    monkeypatch.setattr(executor, "_NOTE_S", 0.5)
    with running_cluster(1) as cluster, dask_client(cluster.address) as client:
        gate = Event(client.id, client=client)
        occupied = client.map(wait_for_gate, [client.id] * 2, pure=False)
        until(lambda: sum(map(len, client.processing().values())) == 2)
        try:
            with Warned(gate.set) as warned:
                results = make_tuner(Counting, tmp_path, executor=cluster.make_executor()).fit()
        finally:
            gate.set()
        client.gather(occupied)
    assert not results.errors and len(results) == 1
    assert warned.texts == [
        "The cluster (Dask) has granted this run no resources for 0.5 s. Other jobs may hold them. "
        "The run waits."
    ]


def test_a_run_says_that_it_waits_for_the_first_node_and_begins_when_it_joins(
    tmp_path: Path,
) -> None:
    with contextlib.closing(DaskCluster(1)) as cluster, Warned(cluster.add_node) as warned:
        results = make_tuner(Counting, tmp_path, executor=cluster.make_executor()).fit()
    assert not results.errors and len(results) == 1
    assert warned.texts == [
        "The cluster (Dask) has no nodes. The run waits for the first one, for 120 s at most "
        "(start_timeout_s)."
    ]
