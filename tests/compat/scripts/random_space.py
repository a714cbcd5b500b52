"""Ray 2.x: random domains, seeds, constants, time budgets, and the environment of a trial."""
import json
import os
import random

import numpy as np
from ray import train, tune
from ray.tune import ExperimentAnalysis, ResultGrid


def objective(config):
    context = train.get_context()
    assert context.get_trial_id() in context.get_trial_name()
    assert context.get_experiment_name() == "random_space"
    assert os.path.isdir(context.get_trial_dir())
    value = config["x"] * config["layers"] + config["noise"]
    return {"value": value, "double": config["double"]}


if __name__ == "__main__":
    random.seed(7)
    np.random.seed(7)
    space = {
        "x": tune.uniform(0, 1),
        "layers": tune.randint(1, 4),
        "lr": tune.loguniform(1e-4, 1e-1),
        "batch_size": tune.choice([16, 32, 64]),
        "steps": tune.qrandint(10, 100, 10),
        "noise": tune.randn(0, 0.1),
        "double": tune.sample_from(lambda config: config["x"] * 2),
        "fixed": "adam",
    }
    grid = tune.Tuner(
        objective,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="value", mode="max", num_samples=6, time_budget_s=300, max_concurrent_trials=2
        ),
        run_config=train.RunConfig(name="random_space", storage_path=os.path.abspath("sampled")),
    ).fit()
    assert isinstance(grid, ResultGrid)
    analysis = ExperimentAnalysis(
        os.path.abspath("sampled/random_space"),
        default_metric="value",
        default_mode="max",
    )
    configs = [result.config for result in grid]
    best = grid.get_best_result()
    print(json.dumps({
        "trials": len(grid),
        "legal": all(
            0 <= c["x"] < 1
            and c["layers"] in (1, 2, 3)
            and 1e-4 <= c["lr"] <= 1e-1
            and c["batch_size"] in (16, 32, 64)
            and c["steps"] % 10 == 0
            and c["double"] == c["x"] * 2
            and c["fixed"] == "adam"
            for c in configs
        ),
        "different": len({c["x"] for c in configs}),
        "is_double": best.metrics["double"] == best.config["x"] * 2,
        "same_best": analysis.best_config["x"] == best.config["x"],
        "x": best.config["x"],
    }))
