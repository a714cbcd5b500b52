"""Kills sweeps at random and compares what is left with sweeps that nobody disturbed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

import localtune as tune
from localtune.execution.local_process import ProcessExecutor
from localtune.schedulers import ASHAScheduler, PopulationBasedTraining

ITERATIONS = 27
SAMPLES = 9
FACTORS = [1.0, 2.0, 3.0, 4.0]


class Deterministic(tune.Trainable):
    """Its score grows by its factor in each iteration: the largest factor from the start wins."""

    def setup(self, config: dict[str, Any]) -> None:
        self.score = 0.0

    def step(self) -> dict[str, Any]:
        time.sleep(0.01)
        self.score += self.config["factor"]
        return {"score": self.score, "done": self.iteration + 1 >= ITERATIONS}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"score": self.score}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.score = checkpoint["score"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        self.score = 0.0
        return True


def make_scheduler(name: str) -> Any:
    common: dict[str, Any] = {"time_attr": "training_iteration", "metric": "score", "mode": "max"}
    if name == "asha":
        return ASHAScheduler(**common, max_t=ITERATIONS, grace_period=3, reduction_factor=3)
    return PopulationBasedTraining(
        **common, perturbation_interval=4, hyperparam_mutations={"factor": FACTORS}
    )


def sweep(path: str, scheduler: str, seed: int) -> None:
    """Starts a sweep, or takes it up again."""
    executor = ProcessExecutor(num_cpus=2)
    experiment = os.path.join(path, "run")
    if tune.Tuner.can_restore(experiment):
        tune.Tuner.restore(experiment, Deterministic, executor=executor).fit()
        return
    tune.Tuner(
        Deterministic,
        param_space={"factor": tune.grid_search([*FACTORS, *FACTORS, 1.0])},
        tune_config=tune.TuneConfig(scheduler=make_scheduler(scheduler), seed=seed),
        run_config=tune.RunConfig(
            name="run",
            storage_path=path,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=-1),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, num_to_keep=2),
        ),
        executor=executor,
    ).fit()


def start(path: Path, scheduler: str, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--sweep", str(path), scheduler, "--seed", str(seed)]
    return subprocess.Popen(command, stderr=(path / "stderr").open("ab"))


def choose_victim(parent: subprocess.Popen[bytes], rng: random.Random) -> tuple[str, int] | None:
    """(what it is, process id), None if there is none of the kind that was drawn."""
    kind = rng.choices(["parent", "worker", "template", "guard"], [10, 8, 2, 1])[0]
    if kind == "parent":
        return kind, parent.pid
    with contextlib.suppress(psutil.Error):
        # The parent starts a guard, the guard templates, and these start workers.
        level = psutil.Process(parent.pid).children()
        for name in ("guard", "template", "worker"):
            if name == kind:
                return (kind, rng.choice(level).pid) if level else None
            level = [each for above in level for each in above.children()]
    return None


def disturb(path: Path, scheduler: str, seed: int, kills: Counter[str], limit: int) -> None:
    """Runs one sweep to its end, killing on the way until ``limit`` kills are done in all."""
    rng = random.Random(f"{seed}/{scheduler}")
    process = start(path, scheduler, seed)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.15, 0.9))
        if process.returncode is None and sum(kills.values()) < limit:
            victim = choose_victim(process, rng)
            if victim is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim[1], signal.SIGKILL)
                    kills[victim[0]] += 1
        elif process.returncode == 0:
            return
        elif process.returncode == -signal.SIGKILL:
            process = start(path, scheduler, seed)
        elif process.returncode is not None:
            sys.exit(f"The sweep in {path} failed:\n{(path / 'stderr').read_text()[-3000:]}")


def outcome(path: Path) -> tuple[int, str, float]:
    """(trials, their states, best score), after all else was checked.

    Raises:
        AssertionError: if a history, a checkpoint or the database is not as it must be.
    """
    experiment = path / "run"
    with contextlib.closing(sqlite3.connect(experiment / "experiment.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = dict(
            connection.execute("SELECT trial_id, count(*) FROM results GROUP BY trial_id")
        )
    analysis = tune.ExperimentAnalysis(str(experiment), default_metric="score", default_mode="max")
    for trial in analysis.trials:
        lines = Path(trial.path, "result.json").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        assert len(results) == counts[trial.trial_id] == trial.result_count, trial
        assert len(Path(trial.path, "progress.csv").read_text().splitlines()) == len(results) + 1
        if trial.start_point is None and "@perturbed" not in trial.experiment_tag:
            iterations = [each["training_iteration"] for each in results]
            assert iterations == list(range(1, len(results) + 1)), trial
        assert not list(Path(trial.path).glob(".staging*")), trial
    states = Counter(str(trial.status) for trial in analysis.trials)
    best = analysis.best_result["score"]
    return len(analysis.trials), " ".join(f"{n} {s}" for s, n in sorted(states.items())), best


def left_over(path: Path) -> list[str]:
    """Processes that still work in a directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(path) in " ".join(process.cmdline()) or str(path) in process.cwd():
                found.append(str(process))
    return found


def soak(kill_count: int, seed: int) -> None:
    kills: Counter[str] = Counter()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="localtune-soak-") as directory:
        expected = {}
        for name in ("asha", "pbt"):
            path = Path(directory, f"undisturbed-{name}")
            path.mkdir()
            disturb(path, name, seed, kills, limit=0)
            expected[name] = outcome(path)
        sweeps = 0
        while sum(kills.values()) < kill_count:
            name = ("asha", "pbt")[sweeps % 2]
            path = Path(directory, f"{sweeps}-{name}")
            path.mkdir()
            disturb(path, name, seed + sweeps, kills, kill_count)
            found = outcome(path)
            if found != expected[name]:
                sys.exit(f"{path.name}: {found}, but undisturbed {expected[name]}")
            deadline = time.monotonic() + 20
            while (processes := left_over(path)) and time.monotonic() < deadline:
                time.sleep(0.1)
            if processes:
                sys.exit(f"{path.name}: processes are left over: {processes}")
            sweeps += 1
            print(f"{path.name}: {found[1]}, best {found[2]:g}; {sum(kills.values())} kills so far")
    who = ", ".join(f"{count} of {kind}s" for kind, count in sorted(kills.items()))
    print(
        f"Survived {sum(kills.values())} kills ({who}) in {sweeps} sweeps of {SAMPLES} trials, "
        f"{time.monotonic() - started:.0f} s: same trials, histories and best as undisturbed."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills (default: 1)")
    parser.add_argument("--sweep", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sweep:
        sweep(*given.sweep, given.seed)
    else:
        soak(given.kills, given.seed)


if __name__ == "__main__":
    main()
