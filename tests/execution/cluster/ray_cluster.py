"""A cluster of Ray with three nodes on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localtune.testing.engine_contract import CPUS, NODES
from localtune.testing.local_clusters import orphans_killed

# The smallest that Ray takes, nearly.
_STORE_BYTES = 80 * 1024 * 1024
_ROOT = str(Path(__file__).parents[3])


@contextlib.contextmanager
def ray_cluster(gpus: int = 0) -> Iterator[Any]:
    """Yields the cluster; its nodes have the resource ``"number"`` with 1, 2 and 3 of it.

    Args:
        gpus: How many GPUs the first node says to have.
    """
    before = dict(os.environ)
    # Ray makes sockets below it, whose paths must be short.
    directory = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ.update(
        RAY_TMPDIR=directory,
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="disabled",
        # Workers of Ray let other processes go first, and get no time on a busy machine.
        RAY_worker_niceness="0",
        # The nodes import localtune from here.
        PYTHONPATH=os.pathsep.join([_ROOT, *filter(None, [before.get("PYTHONPATH")])]),
    )
    os.environ.pop("RAY_ADDRESS", None)
    from ray.cluster_utils import Cluster

    common = {"num_cpus": CPUS, "object_store_memory": _STORE_BYTES}
    head = {**common, "num_gpus": gpus, "include_dashboard": False, "resources": {"number": 1}}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    try:
        for number in range(2, NODES + 1):
            cluster.add_node(**common, resources={"number": number})
        yield cluster
    finally:
        with orphans_killed():
            sys.modules["ray"].shutdown()
            cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(directory, ignore_errors=True)
