"""Ray 2.x: MLflow in a local directory, by a callback and by setup_mlflow."""
import json
import os

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
from ray import train, tune
from ray.air.integrations.mlflow import MLflowLoggerCallback, setup_mlflow


def easy_objective(config):
    width, height = config["width"], config["height"]
    for step in range(config.get("steps", 3)):
        train.report({"iterations": step, "mean_loss": (0.1 + width * step / 100) ** -1 + height})


def with_setup(config):
    tracker = setup_mlflow(
        config,
        experiment_name="setup_mlflow",
        tracking_uri=config["tracking_uri"],
        create_experiment_if_not_exists=True,
    )
    tracker.log_metrics({"mean_loss": config["width"]}, step=0)
    train.report({"mean_loss": config["width"]})


if __name__ == "__main__":
    tracking_uri = "file://" + os.path.join(os.getcwd(), "mlruns")
    results = tune.Tuner(
        easy_objective,
        tune_config=tune.TuneConfig(metric="mean_loss", mode="min"),
        run_config=train.RunConfig(
            name="mlflow",
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=tracking_uri,
                    experiment_name="mlflow_callback",
                    save_artifact=False,
                    tags={"team": "blue"},
                )
            ],
        ),
        param_space={"width": tune.grid_search([10, 50]), "height": 1, "steps": 4},
    ).fit()
    tune.Tuner(with_setup, param_space={"width": 5, "tracking_uri": tracking_uri}).fit()

    client = mlflow.tracking.MlflowClient(tracking_uri=tracking_uri)
    logged = {}
    for name in ("mlflow_callback", "setup_mlflow"):
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id])
        logged[name] = sorted(
            [run.data.params["width"], round(run.data.metrics["mean_loss"], 6)] for run in runs
        )
        if name == "mlflow_callback":
            logged["tags"] = sorted({run.data.tags["team"] for run in runs})
    print(json.dumps({"best": results.get_best_result().config["width"], **logged}))
