"""Ray 2.x: callbacks, a logger, stoppers, names of trials, and a custom scheduler."""
import json
import os
from typing import Dict, List

from ray import tune
from ray.tune import Callback, RunConfig, Stopper
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.schedulers.trial_scheduler import TrialScheduler


class Counting(Callback):
    def __init__(self):
        self.events = {}

    def _count(self, name):
        self.events[name] = self.events.get(name, 0) + 1

    def setup(self, stop=None, num_samples=None, total_num_samples=None, **info):
        self._count("setup")

    def on_trial_start(self, iteration, trials, trial, **info):
        self._count("start")

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self._count("result")

    def on_trial_complete(self, iteration, trials, trial, **info):
        self._count("complete")

    def on_trial_error(self, iteration, trials, trial, **info):
        self._count("error")

    def on_experiment_end(self, trials, **info):
        self._count("end")


class LastLine(LoggerCallback):
    def __init__(self, path):
        self.path = path
        self.last = {}

    def log_trial_result(self, iteration: int, trial: "Trial", result: Dict):
        self.last[trial.config["n"]] = result["value"]

    def on_experiment_end(self, trials: List["Trial"], **info):
        with open(self.path, "w") as f:
            json.dump(self.last, f)


class Until(Stopper):
    def __init__(self, bound):
        self.bound = bound

    def __call__(self, trial_id, result):
        return result["value"] >= self.bound

    def stop_all(self):
        return False


class Noting(FIFOScheduler):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def on_trial_result(self, tune_controller, trial, result):
        self.seen += 1
        return TrialScheduler.CONTINUE


def count(config):
    value = 0
    while True:
        value += config["n"]
        if value > 20:
            raise ValueError("too far")
        tune.report({"value": value})


def trial_name(trial):
    return f"count_{trial.config['n']}"


if __name__ == "__main__":
    counting, noting = Counting(), Noting()
    last = LastLine(os.path.abspath("last.json"))
    results = tune.Tuner(
        count,
        param_space={"n": tune.grid_search([2, 5, 30])},
        tune_config=tune.TuneConfig(
            metric="value",
            mode="max",
            scheduler=noting,
            trial_name_creator=trial_name,
            trial_dirname_creator=trial_name,
        ),
        run_config=RunConfig(
            name="callbacks", callbacks=[counting, last], stop=Until(10), verbose=0
        ),
    ).fit()
    with open("last.json") as f:
        written = json.load(f)
    print(json.dumps({
        "events": dict(sorted(counting.events.items())),
        "last": written,
        "seen": noting.seen,
        "errors": ["too far" in str(error) for error in results.errors],
        "names": sorted(os.path.basename(result.path) for result in results),
    }))
