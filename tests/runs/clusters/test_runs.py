"""Runs on clusters of three nodes, which are killed, stopped, and joined by others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.relay import AGENT_MODULE
from localtune.execution.executor import Executor
from localtune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from localtune.testing.executor_contract import ExecutorContract
from localtune.testing.local_clusters import LocalCluster, local_cluster
from localtune.trial.trial import Trial
from tests.heavy import long_but
from tests.small_runs import Counting, first_time

# Ray and Dask are large.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STEPS = 6
WHOLE = [(step, step) for step in range(1, STEPS + 1)]


# Ray keeps threads and descriptors in the process that has used it: ``test_on_ray.py`` runs
# this file in another one, and sets the variable. Agents without an engine are for environments
# without one.
KIND = os.environ.get("LOCALTUNE_TEST_CLUSTER")
KINDS = [KIND or ("dask" if find_spec("distributed") else "agents")]


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with local_cluster(request.param) as cluster:
        yield cluster


class Strike(tune.Callback):
    """Strikes once, when a trial has reported its third result."""

    def __init__(self, strike: Callable[[int], None]) -> None:
        self.strike = strike
        self.has_struck = False

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if result["training_iteration"] == 3 and not self.has_struck:
            self.has_struck = True
            self.strike(result["pid"])


def agent_of(worker_pid: int) -> int:
    """The process of the agent whose worker a process is."""
    for process in psutil.Process(worker_pid).parents():
        if AGENT_MODULE in process.cmdline():
            return process.pid
    raise AssertionError(f"{worker_pid} is no worker of an agent")


def run(
    tmp_path: Path, executor: Any, callbacks: list[tune.Callback] | None = None, **options: Any
) -> tune.ResultGrid:
    return tune.Tuner(
        Counting,
        param_space={"steps": STEPS, "x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", seed=1, num_samples=5, **options),
        run_config=tune.RunConfig(
            name="run",
            storage_path=tmp_path,
            verbose=0,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
        executor=executor,
    ).fit()


def histories(results: tune.ResultGrid) -> list[list[tuple[int, int]]]:
    """Each trial's iterations with what the trainable has counted."""
    found = []
    for result in results:
        frame = result.metrics_dataframe
        assert frame is not None
        columns: list[Any] = [frame.get(name, []) for name in ("training_iteration", "count")]
        found.append(list(zip(*columns, strict=True)))
    return found


def check_that_trials_survive(
    tmp_path: Path, cluster: LocalCluster, strike: Callable[[int], None]
) -> None:
    callback = Strike(strike)
    results = run(tmp_path, cluster.make_executor(node_timeout_s=3.0), [callback])
    assert callback.has_struck
    assert not results.errors
    assert histories(results) == [WHOLE] * 5


@pytest.mark.long
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGSTOP"])
def test_trials_go_on_elsewhere_when_an_agent_is_lost(
    tmp_path: Path, cluster: LocalCluster, sent: str
) -> None:
    check_that_trials_survive(
        tmp_path, cluster, lambda worker_pid: os.kill(agent_of(worker_pid), getattr(signal, sent))
    )


@pytest.mark.long
def test_a_run_that_a_cluster_has_begun_goes_on_in_processes(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    marker = tmp_path / "interrupted"

    class Interrupt(tune.Callback):
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            # A run that is taken up again has the same callbacks.
            if first_time(str(marker)):
                os.kill(os.getpid(), signal.SIGINT)

    results = run(tmp_path, cluster.make_executor(), [Interrupt()])
    assert len(results) == 5 and histories(results) != [WHOLE] * 5
    again = tune.Tuner.restore(tmp_path / "run", Counting, executor=tune.ProcessExecutor()).fit()
    assert histories(again) == [WHOLE] * 5


SCHEDULERS: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": FIFOScheduler,
    "pbt": lambda: PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"x": [0.1, 0.5, 0.9]},
        synch=True,
    ),
    "asha": lambda: ASHAScheduler(max_t=STEPS, grace_period=1, reduction_factor=2),
    "promotion": lambda: ASHAScheduler(max_t=STEPS, reduction_factor=2, type="promotion"),
    "hyperband": lambda: HyperBandScheduler(max_t=STEPS, reduction_factor=2),
    "median": lambda: MedianStoppingRule("training_iteration", grace_period=2),
}
# The order in which trials report has no part in their decisions.
ORDERLESS = ("fifo", "pbt")


@pytest.mark.parametrize("name", long_but(["pbt"], SCHEDULERS))
def test_a_seed_gives_the_same_sweep_as_in_processes(
    tmp_path: Path, cluster: LocalCluster, name: str
) -> None:
    ours = run(tmp_path / "c", cluster.make_executor(), scheduler=SCHEDULERS[name]())
    theirs = run(tmp_path / "p", tune.ProcessExecutor(num_cpus=3), scheduler=SCHEDULERS[name]())
    assert not ours.errors and not theirs.errors
    assert [each.config for each in ours] == [each.config for each in theirs]
    for each in histories(ours):
        assert each == WHOLE[: len(each)]
    if name in ORDERLESS:
        assert histories(ours) == histories(theirs) == [WHOLE] * 5
        assert ours.get_best_result().config == theirs.get_best_result().config


class Replayed(ASHAScheduler):
    """Remembers what it was asked, and what it has decided."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[tuple[str, Trial, dict[str, Any], str]] = []

    def on_trial_add(self, controller: Any, trial: Trial) -> None:
        super().on_trial_add(controller, trial)
        self.asked.append(("add", trial, {}, ""))

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(controller, trial, result)
        self.asked.append(("result", trial, dict(result), decision))
        return decision


@pytest.mark.long
def test_the_recorded_events_lead_to_the_same_decisions_again(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    options: dict[str, Any] = {"max_t": STEPS, "grace_period": 1, "reduction_factor": 2}
    scheduler = Replayed(**options)
    callback = Strike(lambda worker_pid: os.kill(agent_of(worker_pid), signal.SIGKILL))
    results = run(
        tmp_path, cluster.make_executor(node_timeout_s=3.0), [callback], scheduler=scheduler
    )
    assert callback.has_struck and not results.errors
    again = ASHAScheduler(**options)
    again.set_search_properties("loss", "min")
    for kind, trial, result, decision in scheduler.asked:
        if kind == "add":
            again.on_trial_add(None, trial)  # type: ignore[arg-type]
        else:
            assert again.on_trial_result(None, trial, result) == decision  # type: ignore[arg-type]


if KIND:  # The others have it in tests/execution/cluster.

    class TestExecutor(ExecutorContract):
        abilities = ClusterExecutor.abilities

        @pytest.fixture(autouse=True)
        def _with(self, cluster: LocalCluster) -> None:
            self.cluster = cluster

        def make_executor(self) -> Executor:
            return self.cluster.make_executor()


# The last one: the cluster has a node less afterwards.
def test_trials_go_on_elsewhere_when_a_node_is_lost(tmp_path: Path, cluster: LocalCluster) -> None:
    check_that_trials_survive(tmp_path, cluster, lambda _: cluster.kill_node())
