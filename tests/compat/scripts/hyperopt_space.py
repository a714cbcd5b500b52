"""Ray 1.x: HyperOptSearch with a space of hp, max_concurrent, and a median stopping rule."""
import json

import numpy as np
from hyperopt import hp
from ray import tune
from ray.tune.schedulers import MedianStoppingRule
from ray.tune.suggest import ConcurrencyLimiter
from ray.tune.suggest.hyperopt import HyperOptSearch


def objective(x, a, b):
    return a * (x**0.5) + b


def trainable(config):
    for x in range(5):
        tune.report(score=objective(x, config["a"], config["b"]), kind=config["kind"])


space = {
    "a": hp.uniform("a", 0, 1),
    "b": hp.uniform("b", 0, 20),
    "kind": hp.choice("kind", ["small", "large"]),
}

if __name__ == "__main__":
    np.random.seed(0)
    first = HyperOptSearch(
        space, metric="score", mode="max", max_concurrent=1, random_state_seed=1, n_initial_points=2
    )
    analysis = tune.run(
        trainable,
        search_alg=first,
        scheduler=MedianStoppingRule(metric="score", mode="max", grace_period=100),
        num_samples=4,
        local_dir="./hyperopt",
        verbose=0,
    )
    best = analysis.get_best_trial("score", "max")

    second = ConcurrencyLimiter(
        HyperOptSearch(
            metric="score",
            mode="max",
            points_to_evaluate=[{"a": 0.5, "b": 19.0, "kind": "small"}],
            random_state_seed=1,
        ),
        max_concurrent=1,
    )
    other = tune.run(
        trainable,
        config={
            "a": tune.uniform(0, 1),
            "b": tune.uniform(0, 20),
            "kind": tune.choice(["small", "large"]),
        },
        metric="score",
        mode="max",
        search_alg=second,
        num_samples=3,
        verbose=0,
    )
    in_range = all(0 <= trial.config["b"] <= 20 for trial in [*analysis.trials, *other.trials])
    print(json.dumps({
        "trials": [len(analysis.trials), len(other.trials)],
        "kind": best.last_result["kind"],
        "b": best.config["b"],
        "other": other.best_config,
        "first_point": other.trials[0].config,
        "in_range": in_range,
    }))
