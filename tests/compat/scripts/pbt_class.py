"""Ray 1.x: PBT of a class with reset_config, an explore function, and export formats."""
import json
import os
import random

import ray
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.trial import ExportFormat


class PytorchLike(tune.Trainable):
    def setup(self, config):
        self.model = {"weight": 0.0}
        self.lr = config.get("lr", 0.01)

    def step(self):
        self.model["weight"] += self.lr
        return {"mean_accuracy": self.model["weight"], "lr": self.lr}

    def save_checkpoint(self, checkpoint_dir):
        checkpoint_path = os.path.join(checkpoint_dir, "model.json")
        with open(checkpoint_path, "w") as f:
            json.dump(self.model, f)
        return checkpoint_path

    def load_checkpoint(self, checkpoint_path):
        with open(checkpoint_path) as f:
            self.model = json.load(f)

    def _export_model(self, export_formats, export_dir):
        if export_formats == [ExportFormat.MODEL]:
            path = os.path.join(export_dir, "exported.json")
            with open(path, "w") as f:
                json.dump(self.model, f)
            return {ExportFormat.MODEL: path}
        raise ValueError("unexpected formats: " + str(export_formats))

    def reset_config(self, new_config):
        self.lr = new_config["lr"]
        self.config = new_config
        return True


def explore(config):
    config["lr"] = min(config["lr"], 0.2)
    return config


if __name__ == "__main__":
    random.seed(1)
    ray.init(num_cpus=2)
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        metric="mean_accuracy",
        mode="max",
        perturbation_interval=2,
        quantile_fraction=0.5,
        resample_probability=0.5,
        hyperparam_mutations={"lr": lambda: random.uniform(0.05, 0.2)},
        custom_explore_fn=explore,
        synch=True,
    )
    analysis = tune.run(
        PytorchLike,
        name="pbt_class",
        scheduler=scheduler,
        reuse_actors=True,
        verbose=1,
        stop={"training_iteration": 6},
        export_formats=[ExportFormat.MODEL],
        checkpoint_score_attr="mean_accuracy",
        checkpoint_freq=2,
        keep_checkpoints_num=4,
        num_samples=1,
        local_dir="./pbt_results",
        config={"lr": tune.grid_search([0.001, 0.2])},
    )
    best_trial = analysis.get_best_trial("mean_accuracy", "max")
    worst = min(trial.last_result["mean_accuracy"] for trial in analysis.trials)
    ray.shutdown()
    print(json.dumps({
        "best": round(best_trial.last_result["mean_accuracy"], 6),
        "worst_was_cloned": worst > 0.1,
        "lrs_are_legal": all(trial.last_result["lr"] <= 0.2 for trial in analysis.trials),
        "exported": os.path.exists(os.path.join(best_trial.logdir, "exported.json")),
        "iterations": [trial.last_result["training_iteration"] for trial in analysis.trials],
    }))
