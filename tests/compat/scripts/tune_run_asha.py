"""Ray 1.x: tune.run, tune.report with keywords, ASHA, a CLIReporter and get_best_trial."""
import argparse
import json
from functools import partial

import numpy as np
from ray import tune
from ray.tune import CLIReporter
from ray.tune.schedulers import ASHAScheduler


def load_data(seed):
    rng = np.random.RandomState(seed)
    X = rng.randn(60, 3)
    return X, X @ np.array([1.0, -2.0, 0.5])


def train_linear(config, seed=None):
    X, y = load_data(seed)
    w = np.zeros(3)
    for epoch in range(config["epochs"]):
        w -= config["lr"] * X.T @ (X @ w - y) / len(X)
        loss = float(np.mean((X @ w - y) ** 2))
        tune.report(loss=loss, accuracy=1 / (1 + loss))
    print("Finished Training")


def main(num_samples=1, max_num_epochs=8, gpus_per_trial=0):
    config = {
        "lr": tune.grid_search([0.001, 0.05, 0.5]),
        "epochs": max_num_epochs,
        "unused": tune.sample_from(lambda spec: spec.config.lr * 10),
    }
    scheduler = ASHAScheduler(
        metric="loss", mode="min", max_t=max_num_epochs, grace_period=2, reduction_factor=2
    )
    reporter = CLIReporter(
        parameter_columns=["lr"], metric_columns=["loss", "accuracy", "training_iteration"]
    )
    result = tune.run(
        partial(train_linear, seed=0),
        resources_per_trial={"cpu": 1, "gpu": gpus_per_trial},
        config=config,
        num_samples=num_samples,
        scheduler=scheduler,
        progress_reporter=reporter,
        local_dir="./results",
        name="linear",
    )
    best_trial = result.get_best_trial("loss", "min", "last")
    print("Best trial config: {}".format(best_trial.config))
    print("Best trial final validation loss: {}".format(best_trial.last_result["loss"]))
    print(json.dumps({
        "lr": best_trial.config["lr"],
        "unused": best_trial.config["unused"],
        "loss": round(best_trial.last_result["loss"], 9),
        "iterations": best_trial.last_result["training_iteration"],
        "trials": len(result.trials),
    }))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    args, _ = parser.parse_known_args()
    main(max_num_epochs=args.epochs)
