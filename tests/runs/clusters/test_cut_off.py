"""A node of Dask that is cut off in the middle of a run, while all its processes live on."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from localtune.execution.cluster.relay import AGENT_MODULE
from localtune.testing.local_clusters import DaskCluster
from tests.execution.cluster.dask.sessions import until
from tests.runs.clusters.links import Link, NamespaceLink, ProxyLink, may_make_namespaces
from tests.small_runs import Counting, first_time, make_tuner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

STEPS = 6
NODE_TIMEOUT_S = 3.0
# In the environment of the node that is cut off: the directory of the files by which the trial and
# the test wait for each other.
PLACE = "LOCALTUNE_TEST_CUT_OFF"


class IsCutOff(Counting):
    """Is cut off in its fourth step, and goes on elsewhere, where it never ends its fifth one."""

    def step(self) -> dict[str, Any]:
        place = os.environ.get(PLACE)
        if place and self.count == 3 and first_time(f"{place}/in_step"):
            Path(place, "pid.new").write_text(str(os.getpid()))
            os.rename(f"{place}/pid.new", f"{place}/pid")
            # So this result comes when the link is cut, and is kept back until it is joined.
            until(Path(place, "cut").exists)
        elif not place and self.count == 4:
            Path(self.config["place"], "elsewhere").touch()
            until(Path(self.config["place"], "never").exists)
        return super().step()


class Times(NamedTuple):
    """When something was seen, in seconds since the epoch."""

    ended: float
    elsewhere: float


def cut_off(link: Link, cluster: DaskCluster, node: psutil.Process, place: Path) -> Times:
    """Cuts a node off in the fourth step of its trial, and loses the other node later on."""
    until((place / "pid").exists)
    worker = psutil.Process(int((place / "pid").read_text()))
    [agent] = agents_of(node)
    other = cluster.add_node()
    try:
        link.cut()
        (place / "cut").touch()
        until(lambda: has_ended(worker))
        until(lambda: has_ended(agent))
        ended = time.time()
        until((place / "elsewhere").exists)
        elsewhere = (place / "elsewhere").stat().st_mtime
    finally:
        link.join()
    until(lambda: agents_of(node))
    # Now the trial has only the node that was cut off.
    other.kill()
    other.wait()
    return Times(ended, elsewhere)


def agents_of(node: psutil.Process) -> list[psutil.Process]:
    return [each for each in node.children() if AGENT_MODULE in each.cmdline()]


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# A node that is cut off with a free thread is asked first for the next reservation.
@pytest.mark.parametrize(("kind", "cpus"), [(NamespaceLink, 1), (ProxyLink, 2)])
def test_a_trial_goes_on_elsewhere_when_its_node_is_cut_off_and_comes_back_to_it_later(
    tmp_path: Path, kind: type[Link], cpus: int
) -> None:
    if kind is NamespaceLink and not may_make_namespaces():
        pytest.skip("Needs the right to make network namespaces. The other case needs none.")
    with (
        contextlib.closing(kind()) as link,
        contextlib.closing(DaskCluster(cpus, link.host)) as cluster,
        ThreadPoolExecutor(1) as pool,
    ):
        node = link.add_node(cluster, environment={PLACE: str(tmp_path)})
        tuner = make_tuner(
            IsCutOff,
            tmp_path,
            {"steps": STEPS, "place": str(tmp_path)},
            executor=cluster.make_executor(node_timeout_s=NODE_TIMEOUT_S),
            checkpoint_frequency=1,
        )
        seen = pool.submit(cut_off, link, cluster, psutil.Process(node.pid), tmp_path)
        results = tuner.fit()
        times = seen.result()
        assert node.poll() is None
    assert not results.errors
    frame = results[0].metrics_dataframe
    assert frame is not None
    assert list(frame["training_iteration"]) == list(range(1, STEPS + 1))
    assert list(frame["count"]) == list(range(1, STEPS + 1))
    # The lease of the agent had run out before the trial was started elsewhere.
    assert times.ended < times.elsewhere
