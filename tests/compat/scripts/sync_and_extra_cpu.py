"""Ray 1.x: SyncConfig, extra_cpu, loggers, trial names, and facts about the trial."""
import json
import os

import ray
from ray import tune
from ray.tune.logger import DEFAULT_LOGGERS, CSVLogger, JsonLogger, Logger


class TotalLogger(Logger):
    def _init(self):
        self.total = 0.0

    def on_result(self, result):
        self.total += result["loss"]

    def close(self):
        with open(os.path.join(self.logdir, "total.txt"), "w") as f:
            f.write(str(self.total))


def train(config):
    assert tune.is_session_enabled()
    name, folder = tune.get_trial_name(), tune.get_trial_dir()
    for step in range(3):
        tune.report(
            loss=config["a"] * step,
            in_dir=os.path.samefile(folder, os.getcwd()),
            named=name.endswith(tune.get_trial_id()),
        )


def short_name(trial):
    return "{}_{}".format(trial.trainable_name, trial.trial_id)


if __name__ == "__main__":
    ray.init(num_cpus=2, num_gpus=0)
    analysis = tune.run(
        train,
        name="sync",
        config={"a": tune.grid_search([1, 2])},
        resources_per_trial={"cpu": 1, "extra_cpu": 1},
        sync_config=tune.SyncConfig(syncer=None),
        loggers=DEFAULT_LOGGERS + (TotalLogger,),
        trial_name_creator=short_name,
        local_dir="./results",
        queue_trials=True,
        reuse_actors=True,
        raise_on_failed_trial=False,
    )
    totals, files = [], set()
    for trial in analysis.trials:
        with open(os.path.join(trial.logdir, "total.txt")) as f:
            totals.append(float(f.read()))
        files |= {"result.json", "progress.csv"} & set(os.listdir(trial.logdir))
    best = analysis.get_best_trial(metric="loss", mode="max")
    frame = analysis.trial_dataframes[analysis.get_best_logdir("loss", "max")]
    ray.shutdown()
    print(json.dumps({
        "totals": sorted(totals),
        "files": sorted(files),
        "loggers": [CSVLogger.__name__, JsonLogger.__name__],
        "best": best.config,
        "frame": frame["loss"].tolist(),
        "in_dir": best.last_result["in_dir"],
        "named": best.last_result["named"],
    }))
