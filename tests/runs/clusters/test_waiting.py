"""A run on a cluster of Dask where another job holds all threads."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from localtune.execution.cluster import executor
from tests.execution.cluster.dask.sessions import (
    dask_client,
    running_cluster,
    until,
    wait_for_gate,
)
from tests.small_runs import Counting, make_tuner

pytestmark = pytest.mark.slow


def test_a_run_says_that_it_waits_for_other_jobs_and_goes_on_when_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask.distributed import Event

    monkeypatch.setattr(executor, "_NOTE_S", 0.5)
    warnings: list[str] = []

    with running_cluster(1) as cluster, dask_client(cluster.address) as client:
        gate = Event(client.id, client=client)
        occupied = client.map(wait_for_gate, [client.id] * 2, pure=False)
        until(lambda: sum(map(len, client.processing().values())) == 2)

        class LetsGo(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                warnings.append(record.getMessage())
                gate.set()

        handler = LetsGo(logging.WARNING)
        executor.logger.addHandler(handler)
        try:
            results = make_tuner(Counting, tmp_path, executor=cluster.make_executor()).fit()
        finally:
            executor.logger.removeHandler(handler)
            gate.set()
        client.gather(occupied)
    assert not results.errors and len(results) == 1
    assert warnings == [
        "The cluster (Dask) has granted this run no resources for 0.5 s. Other jobs may hold them. "
        "The run waits."
    ]
