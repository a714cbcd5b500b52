"""Ray 2.x: the class API with checkpoints, resources and a stop condition."""
import json
import os
import pickle

from ray import tune
from ray.tune import CheckpointConfig, RunConfig, Trainable


class Newton(Trainable):
    def setup(self, config):
        self.x = config["start"]
        self.target = config.get("target", 2.0)

    def step(self):
        self.x = 0.5 * (self.x + self.target / self.x)
        return {"error": abs(self.x * self.x - self.target), "x": self.x}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "model.pkl"), "wb") as f:
            pickle.dump(self.x, f)

    def load_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "model.pkl"), "rb") as f:
            self.x = pickle.load(f)

    def cleanup(self):
        self.x = None


if __name__ == "__main__":
    tuner = tune.Tuner(
        tune.with_resources(Newton, {"cpu": 1}),
        param_space={"start": tune.grid_search([1.0, 10.0, 100.0])},
        tune_config=tune.TuneConfig(metric="error", mode="min", reuse_actors=False),
        run_config=RunConfig(
            name="newton",
            stop={"training_iteration": 5},
            checkpoint_config=CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True),
        ),
    )
    results = tuner.fit()
    best = results.get_best_result()
    model = Newton(config=best.config)
    model.restore(best.checkpoint)
    print(json.dumps({
        "best": best.config,
        "x": round(best.metrics["x"], 9),
        "restored": model.x == best.metrics["x"],
        "next": round(model.train()["error"], 9),
        "iterations": [result.metrics["training_iteration"] for result in results],
    }))
