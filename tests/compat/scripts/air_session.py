"""Ray 2.0: air.session, checkpoints that are dicts, and local_dir in the RunConfig."""
import json
import os

from ray import air, tune
from ray.air import session
from ray.air.checkpoint import Checkpoint
from ray.air.config import CheckpointConfig, RunConfig
from ray.tune.tuner import Tuner, TuneConfig


def train_model(config):
    weights = [0.0, 0.0]
    start = 0
    loaded = session.get_checkpoint()
    if loaded:
        state = loaded.to_dict()
        weights, start = state["weights"], state["epoch"] + 1
    for epoch in range(start, 3):
        weights = [w + config["lr"] * (t - w) for w, t in zip(weights, (1.0, -1.0))]
        loss = sum((w - t) ** 2 for w, t in zip(weights, (1.0, -1.0)))
        session.report(
            {"loss": loss, "epoch": epoch},
            checkpoint=Checkpoint.from_dict({"weights": weights, "epoch": epoch}),
        )


if __name__ == "__main__":
    tuner = Tuner(
        train_model,
        param_space={"lr": tune.grid_search([0.1, 0.3, 0.9])},
        tune_config=TuneConfig(metric="loss", mode="min", num_samples=1),
        run_config=RunConfig(
            name="air_session",
            local_dir="./ray_results",
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            failure_config=air.FailureConfig(max_failures=2),
        ),
    )
    results = tuner.fit()
    best_result = results.get_best_result("loss", "min")
    state = best_result.checkpoint.to_dict()
    print("Best trial config: {}".format(best_result.config))
    print(json.dumps({
        "best": best_result.config,
        "loss": round(best_result.metrics["loss"], 9),
        "weights": [round(w, 6) for w in state["weights"]],
        "epoch": state["epoch"],
        "in_local_dir": os.path.join(os.getcwd(), "ray_results") in str(best_result.log_dir),
        "has_params": os.path.exists(os.path.join(best_result.log_dir, "params.json")),
    }))
