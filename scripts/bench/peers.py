"""The same trivial sweep under localtune, Ray Tune, Syne Tune and Optuna.

Two trials at a time, one number reported by each. Every peer runs in an interpreter of its own;
one that is not installed is skipped. Two figures per peer: seconds of the whole sweep, imports and
shutdown of the peer included, and trials per second from the first trial's end to the last one's.

What a trial runs in differs, and is printed: localtune, Ray Tune and Syne Tune give each trial a
process; Optuna runs the objective in threads of the one process.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import localtune

SLOTS = 2
# Result lines of a peer's interpreter start with it: peers print, too.
MARK = "@@result "


def run_localtune(trials: int, directory: str) -> list[float]:
    import localtune as tune

    ends: list[float] = []

    class Ends(tune.Callback):
        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            ends.append(time.perf_counter())

    def objective(config: dict[str, Any]) -> None:
        tune.report({"score": config["x"]})

    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(num_samples=trials, metric="score", mode="min"),
        run_config=tune.RunConfig(storage_path=directory, verbose=0, callbacks=[Ends()]),
        executor=tune.ProcessExecutor(num_cpus=SLOTS),
    ).fit()
    return ends


def run_ray(trials: int, directory: str) -> list[float]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import tune

    ends: list[float] = []

    class Ends(tune.Callback):
        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            ends.append(time.perf_counter())

    def objective(config: dict[str, Any]) -> None:
        tune.report({"score": config["x"]})

    ray.init(
        num_cpus=SLOTS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=directory,
    )
    tune.Tuner(
        objective,
        param_space={"x": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(num_samples=trials, metric="score", mode="min"),
        run_config=tune.RunConfig(storage_path=directory, verbose=0, callbacks=[Ends()]),
    ).fit()
    ray.shutdown()
    return ends


def run_syne_tune(trials: int, directory: str) -> list[float]:
    os.environ["SYNETUNE_FOLDER"] = directory
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import PythonBackend
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.baselines import RandomSearch
    from syne_tune.tuner_callback import TunerCallback

    ends: list[float] = []

    class Ends(TunerCallback):  # type: ignore[misc]
        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            ends.append(time.perf_counter())

    def objective(x: float) -> None:
        from syne_tune import Reporter

        Reporter()(score=x)

    space = {"x": uniform(0.0, 1.0)}
    Tuner(
        trial_backend=PythonBackend(tune_function=objective, config_space=space),
        scheduler=RandomSearch(space, metrics=["score"], do_minimize=True),
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=SLOTS,
        callbacks=[Ends()],
        sleep_time=0.01,
        print_update_interval=3600,
    ).run()
    return ends


def run_optuna(trials: int, directory: str) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ends: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("x", 0.0, 1.0)

    study = optuna.create_study(
        storage=f"sqlite:///{directory}/study.db", sampler=optuna.samplers.RandomSampler()
    )
    study.optimize(
        objective,
        n_trials=trials,
        n_jobs=SLOTS,
        callbacks=[lambda *_: ends.append(time.perf_counter())],
    )
    return ends


# Name -> its module, how to run it, and what a trial runs in.
PEERS: dict[str, tuple[str, Callable[[int, str], list[float]], str]] = {
    "localtune": ("localtune", run_localtune, "a fresh process"),
    "Ray Tune": ("ray", run_ray, "a fresh process"),
    "Syne Tune": ("syne_tune", run_syne_tune, "a fresh process"),
    "Optuna": ("optuna", run_optuna, "a thread"),
}


def run_here(peer: str, trials: int) -> None:
    """Runs one peer's sweep in this interpreter and prints its figures for the parent."""
    before = time.perf_counter()
    # A short path: Ray puts sockets below it.
    with tempfile.TemporaryDirectory(prefix="lt-", ignore_cleanup_errors=True) as directory:
        ends = PEERS[peer][1](trials, directory)
        total_s = time.perf_counter() - before
    figures = {"total_s": total_s, "per_s": (len(ends) - 1) / (ends[-1] - ends[0])}
    print(MARK + json.dumps(figures), flush=True)


def measure(peer: str, trials: int) -> dict[str, float]:
    """Runs one peer's sweep in an interpreter of its own; its figures."""
    command = [sys.executable, __file__, "--run", peer, "--trials", str(trials)]
    done = subprocess.run(command, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            figures: dict[str, float] = json.loads(line.removeprefix(MARK))
            return figures
    sys.exit(f"{peer} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def version_of(peer: str) -> str | None:
    """Version of an installed peer, None if it is not installed."""
    module = PEERS[peer][0]
    if importlib.util.find_spec(module) is None:
        return None
    if peer == "localtune":
        return localtune.__version__
    return importlib.metadata.version(module.replace("_", "-"))


def main(trials: int, rounds: int) -> None:
    found: dict[str, list[dict[str, float]]] = {}
    for peer in PEERS:
        if version_of(peer) is None:
            print(f"{'peers':<13} {peer} is not installed: skipped")
        else:
            found[peer] = []
    for _ in range(rounds):
        for peer, so_far in found.items():
            so_far.append(measure(peer, trials))
    own_s, own_rate = medians(found["localtune"])
    for peer, figures in found.items():
        total_s, rate = medians(figures)
        print(
            f"{'peers':<13} {f'{peer} {version_of(peer)}':<18} {trials} trials in "
            f"{total_s:6.2f} s ({total_s / own_s:6.1f} x localtune's time), "
            f"{rate:6.1f} trials/s (localtune: {own_rate / rate:6.1f} x), "
            f"each in {PEERS[peer][2]}"
        )


def medians(figures: list[dict[str, float]]) -> tuple[float, float]:
    """(seconds of the sweep, trials per second)"""
    return (
        statistics.median(each["total_s"] for each in figures),
        statistics.median(each["per_s"] for each in figures),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The same trivial sweep under other runners.")
    parser.add_argument("--trials", type=int, default=40, help="(default: 40)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--run", choices=PEERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run_here(given.run, given.trials)
    else:
        main(given.trials, given.rounds)
