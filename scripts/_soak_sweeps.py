"""The sweeps of scripts/soak, as a program: starts one of them, or takes it up again.

usage: _soak_sweeps.py NUMBER DIRECTORY SEED EXECUTOR [ADDRESS]
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.executor import Executor
from localtune.execution.local_process import ProcessExecutor
from localtune.running.named_executors import create_executor
from localtune.schedulers import (
    ASHAScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    PopulationBasedTraining,
)

ITERATIONS = 27
SAMPLES = 9
FACTORS = [1.0, 2.0, 3.0, 4.0]


class Deterministic(tune.Trainable):
    """Its score grows by its factor in each iteration: the largest factor from the start wins.

    With ``config["fails"]`` each trial fails once in its 5th step, and once in a save.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.score = 0.0
        print("The trial begins.", flush=True)

    def step(self) -> dict[str, Any]:
        time.sleep(0.01)
        if self.iteration == 4:
            self.fail_once("step")
        self.score += self.config["factor"]
        return {"score": self.score, "done": self.iteration + 1 >= ITERATIONS}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        if self.iteration >= 6:
            Path(checkpoint_dir, "half").touch()
            self.fail_once("save")
        return {"score": self.score}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.score = checkpoint["score"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        self.score = 0.0
        return True

    def fail_once(self, where: str) -> None:
        marker = Path(self.logdir, f"failed_in_{where}")
        if self.config["fails"] and not marker.exists():
            marker.touch()
            raise RuntimeError(f"failed in a {where}")


def with_reader_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    os.close(write)


def with_few_descriptors() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


# {what a sweep inherits: called in its process before Python starts}
SURROUNDINGS: dict[str, Callable[[], object]] = {
    "usual": lambda: None,
    "SIGCHLD ignored": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    "signals blocked": lambda: signal.pthread_sigmask(
        signal.SIG_BLOCK,
        {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM},
    ),
    "stdin closed": lambda: os.close(0),
    "reader of stdout gone": with_reader_gone,
    "few descriptors": with_few_descriptors,
}


@dataclass(frozen=True)
class Sweep:
    """One kind of sweep.

    Attributes:
        scheduler: Name of its scheduler.
        fails: Whether its trials fail now and then, and are retried.
        reuses: Whether workers serve several trials.
        surroundings: What it inherits.
    """

    scheduler: str
    fails: bool = False
    reuses: bool = False
    surroundings: str = "usual"

    def __str__(self) -> str:
        extras = ["retries"] * self.fails + ["reuse"] * self.reuses
        extras += [self.surroundings] * (self.surroundings != "usual")
        return ", ".join([self.scheduler, *extras])


SWEEPS = [
    Sweep("asha"),
    Sweep("pbt"),
    Sweep("hyperband"),
    Sweep("bohb"),
    Sweep("asha", fails=True, surroundings="SIGCHLD ignored"),
    Sweep("pbt", reuses=True, surroundings="signals blocked"),
    Sweep("hyperband", fails=True, reuses=True, surroundings="stdin closed"),
    Sweep("bohb", fails=True, surroundings="reader of stdout gone"),
    Sweep("hyperband", reuses=True, surroundings="few descriptors"),
    Sweep("asha", reuses=True, surroundings="reader of stdout gone"),
    Sweep("hyperband", fails=True, surroundings="SIGCHLD ignored"),
]


def make_scheduler(name: str) -> Any:
    common: dict[str, Any] = {"time_attr": "training_iteration", "metric": "score", "mode": "max"}
    if name == "asha":
        return ASHAScheduler(**common, max_t=ITERATIONS, grace_period=3, reduction_factor=3)
    if name == "hyperband":
        return HyperBandScheduler(**common, max_t=ITERATIONS, reduction_factor=3)
    if name == "bohb":
        return HyperBandForBOHB(**common, max_t=ITERATIONS, reduction_factor=3)
    return PopulationBasedTraining(
        **common, perturbation_interval=4, hyperparam_mutations={"factor": FACTORS}
    )


def make_search(name: str) -> tuple[Any, dict[str, Any]]:
    """(searcher, options of the configurations)."""
    if name != "bohb":
        return None, {"factor": tune.grid_search([*FACTORS, *FACTORS, 1.0])}
    from localtune.search.bohb import TuneBOHB

    searcher = TuneBOHB(
        metric="score", mode="max", points_to_evaluate=[{"factor": each} for each in FACTORS]
    )
    return searcher, {"factor": tune.choice(FACTORS)}


def make_executor(name: str, address: str = "") -> Executor:
    """Returns the executor of the sweeps.

    Args:
        name: ``"processes"``; ``"agents"`` of this machine, as a cluster of three nodes;
            ``"ray"`` or ``"dask"``.
        address: Where the cluster answers.
    """
    if name == "processes":
        return ProcessExecutor(num_cpus=2)
    options = {"node_timeout_s": 5.0, "max_node_losses": 1000}
    if name == "agents":
        return ClusterExecutor(LocalEngine([{"CPU": 1}] * 3), **options)
    return create_executor(name, **{_ADDRESSES[name]: address}, **options)


_ADDRESSES = {"ray": "address", "dask": "cluster"}


def run(sweep: Sweep, path: str, seed: int, executor: Executor) -> None:
    """Starts a sweep, or takes it up again."""
    experiment = os.path.join(path, "run")
    if tune.Tuner.can_restore(experiment):
        tune.Tuner.restore(experiment, Deterministic, executor=executor).fit()
        return
    searcher, space = make_search(sweep.scheduler)
    tune.Tuner(
        Deterministic,
        param_space={**space, "fails": sweep.fails},
        tune_config=tune.TuneConfig(
            scheduler=make_scheduler(sweep.scheduler),
            search_alg=searcher,
            num_samples=SAMPLES if searcher is not None else 1,
            reuse_actors=sweep.reuses,
            seed=seed,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=path,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, num_to_keep=2),
        ),
        executor=executor,
    ).fit()


if __name__ == "__main__":
    run(SWEEPS[int(sys.argv[1])], sys.argv[2], int(sys.argv[3]), make_executor(*sys.argv[4:]))
