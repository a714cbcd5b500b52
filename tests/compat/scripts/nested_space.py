"""Ray 2.x: a nested space, data by with_parameters, and schedulers and searchers by name."""
import json

import numpy as np
from ray import tune
from ray.air import session
from ray.tune.schedulers import AsyncHyperBandScheduler, create_scheduler
from ray.tune.search import create_searcher
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.sample import Domain


def train_perceptron(config, X=None, y=None):
    weights = np.zeros(X.shape[1])
    rng = np.random.default_rng(config["seed"])
    for _ in range(4):
        for i in rng.permutation(len(X)):
            if y[i] * (X[i] @ weights) <= config["model"]["margin"]:
                weights += config["model"]["optimizer"]["lr"] * y[i] * X[i]
        session.report({"eval": {"accuracy": float(np.mean(np.sign(X @ weights) == y))}})


if __name__ == "__main__":
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 2))
    y = np.sign(X @ np.array([1.0, -0.5]) + 0.1)
    assert isinstance(tune.uniform(0, 1), Domain)
    results = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(train_perceptron, X=X, y=y), resources=lambda config: {"cpu": 1}
        ),
        param_space={
            "model": {
                "margin": tune.grid_search([0.0, 50.0]),
                "optimizer": {"name": "sgd", "lr": 0.1},
            },
            "seed": 1,
        },
        tune_config=tune.TuneConfig(
            metric="eval/accuracy",
            mode="max",
            scheduler=create_scheduler("async_hyperband", max_t=4, grace_period=4),
            search_alg=BasicVariantGenerator(random_state=3),
        ),
    ).fit()
    best = results.get_best_result()
    frame = results.get_dataframe()
    print(json.dumps({
        "best": best.config,
        "accuracy": best.metrics["eval"]["accuracy"],
        "columns": sorted(name for name in frame.columns if name.startswith(("config/", "eval/"))),
        "scheduler": create_scheduler("asynchyperband").__class__ is AsyncHyperBandScheduler,
        "searcher": isinstance(create_searcher("variant_generator"), BasicVariantGenerator),
    }))
