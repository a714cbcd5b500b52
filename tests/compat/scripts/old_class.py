"""Ray 0.7: _setup, _train, _save and _restore, and run_experiments with a dict."""
from __future__ import absolute_import, division, print_function

import argparse
import json
import os
import random

import numpy as np
import ray
from ray.tune import Trainable, grid_search, run_experiments
from ray.tune.schedulers import AsyncHyperBandScheduler


class MyTrainableClass(Trainable):
    """A curve that rises to a height that depends on the parameters."""

    def _setup(self, config):
        self.timestep = 0
        self.stopped = False

    def _train(self):
        self.timestep += 1
        v = np.tanh(float(self.timestep) / self.config["width"])
        v *= self.config["height"]
        return {"episode_reward_mean": v, "total": self.timestep}

    def _save(self, checkpoint_dir):
        path = os.path.join(checkpoint_dir, "checkpoint")
        with open(path, "w") as f:
            f.write(json.dumps({"timestep": self.timestep}))
        return path

    def _restore(self, checkpoint_path):
        with open(checkpoint_path) as f:
            self.timestep = json.loads(f.read())["timestep"]

    def _stop(self):
        self.stopped = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke-test", action="store_true", help="Finish quickly for testing")
    args, _ = parser.parse_known_args()
    random.seed(0)
    ray.init(num_cpus=2)

    ahb = AsyncHyperBandScheduler(
        time_attr="training_iteration",
        metric="episode_reward_mean",
        mode="max",
        grace_period=6,
        max_t=6,
    )
    trials = run_experiments(
        {
            "asynchyperband_test": {
                "run": MyTrainableClass,
                "stop": {"training_iteration": 6},
                "num_samples": 1,
                "checkpoint_freq": 2,
                "checkpoint_at_end": True,
                "resources_per_trial": {"cpu": 1, "gpu": 0},
                "config": {"width": grid_search([2, 20]), "height": 10},
                "local_dir": "~/old_results",
            }
        },
        scheduler=ahb,
        queue_trials=True,
        verbose=1,
    )
    best = max(trials, key=lambda trial: trial.last_result["episode_reward_mean"])
    again = MyTrainableClass(config=best.config)
    again.restore(best.checkpoint.value)
    reward = again.train()["episode_reward_mean"]
    print(json.dumps({
        "trials": len(trials),
        "width": best.config["width"],
        "reward": round(float(best.last_result["episode_reward_mean"]), 6),
        "total": best.last_result["total"],
        "next": round(float(reward), 6),
        "in_home": os.path.expanduser("~/old_results") in best.logdir,
    }))
