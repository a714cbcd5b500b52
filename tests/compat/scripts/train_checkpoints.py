"""Ray 2.7 and later: ray.train.report with checkpoints, failures, and a restored Tuner."""
import json
import os
import tempfile

import ray
from ray import train, tune
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig


def train_func(config):
    start, weight = 0, 0.0
    checkpoint = train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as checkpoint_dir:
            with open(os.path.join(checkpoint_dir, "state.json")) as f:
                state = json.load(f)
        start, weight = state["epoch"] + 1, state["weight"]
    for epoch in range(start, 4):
        weight += config["lr"] * (1.0 - weight)
        if epoch == 2 and start == 0 and config["lr"] == 0.5:
            raise RuntimeError("the machine was taken away")
        with tempfile.TemporaryDirectory() as tmp:
            with open(os.path.join(tmp, "state.json"), "w") as f:
                json.dump({"epoch": epoch, "weight": weight}, f)
            train.report(
                {"loss": (1.0 - weight) ** 2, "epoch": epoch, "resumed_from": start},
                checkpoint=Checkpoint.from_directory(tmp),
            )


if __name__ == "__main__":
    ray.init(num_cpus=2)
    tuner = tune.Tuner(
        train_func,
        param_space={"lr": tune.grid_search([0.1, 0.5])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=2),
        run_config=RunConfig(
            name="with_checkpoints",
            storage_path=os.path.abspath("results"),
            failure_config=FailureConfig(max_failures=1),
            checkpoint_config=CheckpointConfig(
                num_to_keep=2, checkpoint_score_attribute="loss", checkpoint_score_order="min"
            ),
        ),
    )
    grid = tuner.fit()
    best = grid.get_best_result()
    with best.checkpoint.as_directory() as path:
        with open(os.path.join(path, "state.json")) as f:
            final = json.load(f)

    path = os.path.join(os.path.abspath("results"), "with_checkpoints")
    assert tune.Tuner.can_restore(path)
    restored = tune.Tuner.restore(path, trainable=train_func)
    again = restored.get_results().get_best_result(metric="loss", mode="min")
    ray.shutdown()
    print(json.dumps({
        "best": best.config,
        "epoch": final["epoch"],
        "weight": round(final["weight"], 6),
        "resumed_from": best.metrics["resumed_from"],
        "kept": len(best.best_checkpoints),
        "same": again.metrics["loss"] == best.metrics["loss"],
        "errors": len(grid.errors),
    }))
