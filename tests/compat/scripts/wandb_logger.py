"""Ray 2.x: Weights & Biases without a connection, by a callback and by setup_wandb."""
import json
import os

os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["WANDB_DIR"] = os.getcwd()

from ray import air, tune
from ray.air.integrations.wandb import WandbLoggerCallback, setup_wandb


def train_function(config):
    for i in range(3):
        tune.report({"loss": config["mean"] + config["sd"] * i})


def with_setup(config):
    wandb = setup_wandb(config, project="offline_project", mode="offline")
    for i in range(2):
        loss = config["mean"] - i
        wandb.log({"loss": loss})
        tune.report({"loss": loss})


if __name__ == "__main__":
    by_callback = tune.Tuner(
        train_function,
        param_space={"mean": 1, "sd": tune.grid_search([0.5])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=air.RunConfig(
            callbacks=[
                WandbLoggerCallback(project="offline_project", group="tests", log_config=True)
            ]
        ),
    ).fit()
    by_setup = tune.Tuner(
        with_setup,
        param_space={"mean": tune.grid_search([3])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
    ).fit()
    found = []
    for folder, _, names in os.walk(os.getcwd()):
        found += [name for name in names if name.startswith("run-") and name.endswith(".wandb")]
    print(json.dumps({
        "losses": [by_callback.get_best_result().metrics["loss"],
                   by_setup.get_best_result().metrics["loss"]],
        "runs": len(found),
    }))
