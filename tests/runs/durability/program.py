"""The run that tests kill: ``program.py PATH`` starts it, or takes it up again if it exists.

Deterministic: what each trial reports depends on its config and iteration alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.execution.local_process import ProcessExecutor
from localtune.schedulers import (
    ASHAScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
)
from localtune.schedulers.pb2 import PB2
from localtune.search.bohb import TuneBOHB
from tests.runs.durability import crash_points

ITERATIONS = int(os.environ.get("ITERATIONS", "3"))
SAMPLES = int(os.environ.get("SAMPLES", "2"))


_COMMON: dict[str, Any] = {"time_attr": "training_iteration", "metric": "loss", "mode": "min"}
# The score grows with time: else a trial that lags behind is copied for ever.
_PBT: dict[str, Any] = {**_COMMON, "mode": "max", "perturbation_interval": 2}

# Each has something to do in so few iterations.
SCHEDULERS: dict[str, Callable[[], Any]] = {
    "asha": lambda: ASHAScheduler(**_COMMON, max_t=9, reduction_factor=3),
    "bohb": lambda: HyperBandForBOHB(**_COMMON, max_t=9),
    "hyperband": lambda: HyperBandScheduler(**_COMMON, max_t=9),
    "median": lambda: MedianStoppingRule(**_COMMON, grace_period=2, min_samples_required=2),
    "pasha": lambda: PASHAScheduler(**_COMMON, max_t=9, reduction_factor=3),
    "pb2": lambda: PB2(**_PBT, hyperparam_bounds={"x": [1, 2]}),
    "pbt": lambda: PopulationBasedTraining(**_PBT, hyperparam_mutations={"x": tune.uniform(1, 2)}),
    "pbt_synch": lambda: PopulationBasedTraining(
        **_PBT, hyperparam_mutations={"x": tune.uniform(1, 2)}, synch=True
    ),
    "promotion": lambda: ASHAScheduler(**_COMMON, max_t=9, reduction_factor=3, type="promotion"),
}


def make_searcher() -> TuneBOHB:
    # The suggestions of its model depend on the results that it has seen by then, and so on time.
    config = {"random_fraction": 1.0}
    return TuneBOHB(metric="loss", mode="min", seed=3, bohb_config=config)


SCHEDULER = os.environ.get("SCHEDULER", "")


class Deterministic(tune.Trainable):
    """Its loss depends on its config and on how often it was trained."""

    def setup(self, config: dict[str, Any]) -> None:
        self.total = 0.0
        if os.environ.get("CRASH_AT", "").startswith("worker"):
            crash_points.arm("worker")

    def step(self) -> dict[str, Any]:
        self.total += self.config["x"] * (self.iteration + 1)
        return {"loss": self.total, "done": self.iteration + 1 >= ITERATIONS}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"total": self.total}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.total = checkpoint["total"]


def make_tuner(path: str) -> tune.Tuner:
    executor = ProcessExecutor(num_cpus=1)
    experiment = os.path.join(path, "run")
    if tune.Tuner.can_restore(experiment):
        return tune.Tuner.restore(experiment, Deterministic, executor=executor)
    return tune.Tuner(
        Deterministic,
        param_space={"x": tune.uniform(1, 2)},
        tune_config=tune.TuneConfig(
            metric=None if SCHEDULER else "loss",
            mode=None if SCHEDULER else "min",
            num_samples=SAMPLES,
            seed=3,
            scheduler=SCHEDULERS[SCHEDULER]() if SCHEDULER else None,
            search_alg=make_searcher() if SCHEDULER == "bohb" else None,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=path,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=2),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1 if SCHEDULER else 2, num_to_keep=1
            ),
        ),
        executor=executor,
    )


if __name__ == "__main__":
    from tests.runs.durability.program import make_tuner as of_module  # by its name, for workers

    if not os.environ.get("CRASH_AT", "").startswith("worker"):
        crash_points.arm("parent")
    of_module(sys.argv[1]).fit()
    Path(sys.argv[1], "points").write_text(str(crash_points.count()))
