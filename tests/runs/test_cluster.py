"""Runs on the agents of this machine, which are killed, stopped, and cut off."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.schedulers import PopulationBasedTraining
from localtune.trial.trial import Trial
from tests.small_runs import Counting

STEPS = 6


class Loss(tune.Callback):
    """Strikes the node of the first trial that reports its third result."""

    def __init__(self, engine: LocalEngine, kind: str) -> None:
        self.engine = engine
        self.kind = kind
        self.struck = ""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if self.struck or result["training_iteration"] < 3:
            return
        agents = self.engine.agent_pids()
        worker = psutil.Process(result["pid"])
        family = {each.pid for each in worker.parents()}
        (self.struck,) = [node_id for node_id, pid in agents.items() if pid in family]
        if self.kind == "removed":
            self.engine.remove_node(self.struck)
        else:
            os.kill(agents[self.struck], getattr(signal, self.kind))


def run(
    tmp_path: Path, executor: Any, callbacks: list[tune.Callback] | None = None, **options: Any
) -> tune.ResultGrid:
    return tune.Tuner(
        Counting,
        param_space={"steps": STEPS, "x": tune.grid_search([0.1, 0.2, 0.3, 0.4])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", seed=1, **options),
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
        found.append(list(zip(frame["training_iteration"], frame["count"], strict=True)))
    return found


WHOLE = [(step, step) for step in range(1, STEPS + 1)]


@pytest.mark.parametrize("kind", ["removed", "SIGKILL", "SIGSTOP"])
def test_trials_go_on_elsewhere_when_a_node_is_lost(tmp_path: Path, kind: str) -> None:
    engine = LocalEngine([{"CPU": 1}] * 3)
    executor = ClusterExecutor(engine, node_timeout_s=3.0)
    loss = Loss(engine, kind)
    results = run(tmp_path, executor, [loss])
    assert loss.struck
    assert not results.errors
    assert histories(results) == [WHOLE] * 4


def test_the_same_run_as_in_processes(tmp_path: Path) -> None:
    configs = []
    for name, executor in (
        ("processes", tune.ProcessExecutor(num_cpus=3)),
        ("cluster", ClusterExecutor(LocalEngine([{"CPU": 1}] * 3))),
    ):
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=2,
            hyperparam_mutations={"x": [0.1, 0.5, 0.9]},
            synch=True,
        )
        results = run(tmp_path / name, executor, scheduler=scheduler)
        assert histories(results) == [WHOLE] * 4
        configs.append([result.config for result in results])
    assert configs[0] == configs[1]
