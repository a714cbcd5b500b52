"""A sweep on a cluster loses a node and its parent, is resumed there, and again on processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.execution.executor import Executor
from localtune.running.named_executors import create_executor
from localtune.schedulers import TrialScheduler
from localtune.testing.local_clusters import local_cluster
from localtune.trial.trial import Trial
from tests.runs.clusters.test_runs import KINDS, SCHEDULERS, STEPS, WHOLE, histories
from tests.small_runs import Counting, make_tuner, statuses

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

ROOT = str(Path(__file__).parents[3])
TRIALS = int(os.environ.get("LOCALTUNE_TEST_TRIALS", "12"))
NODE_TIMEOUT_S = 3.0


class Scored(Counting):
    """Its loss depends on ``x``, so that schedulers tell trials apart."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        return {**result, "loss": (self.config["x"] - 0.3) ** 2 + 1.0 / self.count}


class Blows(tune.Callback):
    """Deals the blows that :func:`main` has set for this process; in others it does nothing.

    A resumed run has the callbacks of the run before, so that the blows cannot be attributes.
    """

    node_at = parent_at = 0
    kill_node: Callable[[], None]
    seen = 0

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        Blows.seen += 1
        if Blows.seen == Blows.node_at:
            Blows.kill_node()
        if Blows.seen == Blows.parent_at:
            os.kill(os.getpid(), signal.SIGKILL)


def make_scheduler(name: str) -> TrialScheduler:
    return SCHEDULERS[name]()


def tuner_of(path: Path, name: str, executor: Executor) -> tune.Tuner:
    return make_tuner(
        Scored,
        path,
        {"steps": STEPS, "x": tune.uniform(0, 1)},
        executor=executor,
        metric="loss",
        mode="min",
        seed=1,
        num_samples=TRIALS,
        scheduler=make_scheduler(name),
        callbacks=[Blows()],
        checkpoint_frequency=1,
    )


def main(kind: str, address: str, path: str, name: str, node_at: str, parent_at: str) -> None:
    """The parent of the sweep: begins it, or resumes it if it has begun."""
    Blows.node_at, Blows.parent_at = int(node_at), int(parent_at)
    with contextlib.ExitStack() as stack:
        if kind == "agents":
            # Their nodes live in the process of the parent.
            cluster = stack.enter_context(local_cluster(kind))
            Blows.kill_node = staticmethod(cluster.kill_node)
            executor = cluster.make_executor(node_timeout_s=NODE_TIMEOUT_S)
        else:
            Blows.kill_node = staticmethod(ask_for_kill)
            key = "address" if kind == "ray" else "cluster"
            options: dict[str, Any] = {key: address, "node_timeout_s": NODE_TIMEOUT_S}
            executor = create_executor(kind, **options)
        if tune.Tuner.can_restore(Path(path, "run")):
            tuner = tune.Tuner.restore(Path(path, "run"), Scored, executor=executor)
        else:
            tuner = tuner_of(Path(path), name, executor)
        tuner.fit()


def ask_for_kill() -> None:
    """Has the test kill a node, and waits until it has."""
    print("kill a node", flush=True)
    assert sys.stdin.readline()


def run_until_killed(
    kind: str, address: str, path: Path, name: str, blows: tuple[int, int], kill: Any
) -> bool:
    """Runs the sweep in a process that kills itself; returns whether a node was killed."""
    arguments = [kind, address, str(path), name, *map(str, blows)]
    source = f"from tests.runs.clusters.test_survival import main; main(*{arguments!r})"
    has_killed = False
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        # Agents outlive their parent for some seconds, and would hold the pipe for so long.
        stdout=subprocess.DEVNULL if kind == "agents" else subprocess.PIPE,
        text=True,
        cwd=path,
        env={**os.environ, "PYTHONPATH": ROOT},
    ) as process:
        assert process.stdin is not None
        for line in process.stdout or ():
            if line == "kill a node\n":
                kill()
                has_killed = True
                process.stdin.write("\n")
                process.stdin.flush()
    assert process.returncode == -signal.SIGKILL
    return has_killed


def losses(results: tune.ResultGrid) -> list[list[float]]:
    return [list(each.metrics_dataframe["loss"]) for each in results]  # type: ignore[index]


@pytest.mark.parametrize("name", ["asha", "fifo", "pbt"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_survives_a_node_and_its_parent(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "ours").mkdir()
    # Agents belong to the parent: there is nothing that the test could start or kill.
    with contextlib.nullcontext() if kind == "agents" else local_cluster(kind) as cluster:
        address, kill = ("", None) if cluster is None else (cluster.address, cluster.kill_node)
        first, second = (TRIALS // 2, TRIALS), (0, TRIALS // 2)
        has_killed = run_until_killed(kind, address, tmp_path / "ours", name, first, kill)
        assert has_killed == (kind != "agents")
        run_until_killed(kind, address, tmp_path / "ours", name, second, kill)
    ours = tune.Tuner.restore(
        tmp_path / "ours" / "run", Scored, executor=tune.ProcessExecutor(num_cpus=3)
    ).fit()
    theirs = tuner_of(tmp_path / "theirs", name, tune.ProcessExecutor(num_cpus=3)).fit()
    assert not ours.errors and not theirs.errors
    assert statuses(ours) == ["TERMINATED"] * TRIALS
    for each in histories(ours):
        assert each and each == WHOLE[: len(each)]
    assert [each.config for each in ours] == [each.config for each in theirs]
    if name != "asha":
        assert histories(ours) == [WHOLE] * TRIALS
        assert losses(ours) == losses(theirs)
        assert ours.get_best_result().config == theirs.get_best_result().config
