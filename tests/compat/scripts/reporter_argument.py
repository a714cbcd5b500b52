"""Ray 0.6 to 1.x: (config, reporter) functions that are registered by a name."""
import json
import math

import ray
import ray.tune as tune
from ray.tune import register_trainable, run


def easy_objective(config, reporter):
    for i in range(config["iterations"]):
        reporter(
            timesteps_total=i,
            mean_loss=(config["height"] - 14) ** 2 - abs(config["width"] - 3) + math.exp(-i),
            mean_accuracy=i / config["iterations"],
        )
    reporter(mean_loss=0.0 if config["width"] == 3 else 1.0, mean_accuracy=1.0, done=True)


register_trainable("easy_objective", easy_objective)

if __name__ == "__main__":
    ray.init()
    analysis = run(
        "easy_objective",
        name="my_exp",
        stop={"mean_accuracy": 1.0},
        config={
            "iterations": 4,
            "width": tune.grid_search([3, 5]),
            "height": tune.sample_from(lambda spec: spec.config.width + 11),
        },
        verbose=1,
    )
    best = analysis.get_best_config(metric="mean_loss", mode="min")
    losses = sorted(trial.last_result["mean_loss"] for trial in analysis.trials)
    print("best config:", best)
    print(json.dumps({"best": best, "losses": losses, "trials": len(analysis.trials)}))
