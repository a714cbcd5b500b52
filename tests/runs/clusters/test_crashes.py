"""Where user code fails, times how, on clusters: each place gets every third fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from localtune.testing.chaos import FAULTS
from localtune.testing.local_clusters import LocalCluster
from tests.runs.clusters.test_runs import cluster
from tests.runs.crashes import CHECKS

__all__ = ["cluster"]  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        (place, fault)
        for at, place in enumerate(CHECKS)
        for fault in (FAULTS[at % 3], FAULTS[at % 3 + 3])
    ],
)
def test_a_fault_has_the_consequences_of_its_place(
    tmp_path: Path, cluster: LocalCluster, place: str, fault: str
) -> None:
    CHECKS[place](tmp_path, cluster.make_executor, fault)
