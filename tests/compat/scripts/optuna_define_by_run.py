"""Ray 2.x: OptunaSearch with a function as its space, and one with domains."""
import json

import optuna
from ray import train, tune
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch


def evaluate(config):
    loss = (config["x"] - 2) ** 2 + (0 if config["activation"] == "relu" else 1)
    train.report({"loss": loss + config.get("extra", 0)})


def define_search_space(trial):
    trial.suggest_float("x", -5, 5)
    activation = trial.suggest_categorical("activation", ["relu", "tanh"])
    if activation == "tanh":
        trial.suggest_float("extra", 0, 1)
    return {"fixed": 7}


if __name__ == "__main__":
    searcher = OptunaSearch(
        define_search_space,
        metric="loss",
        mode="min",
        sampler=optuna.samplers.RandomSampler(seed=4),
    )
    by_run = tune.Tuner(
        evaluate,
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(searcher, max_concurrent=1), num_samples=5
        ),
    ).fit()

    by_domains = tune.Tuner(
        evaluate,
        param_space={"x": tune.uniform(-5, 5), "activation": tune.choice(["relu", "tanh"])},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=OptunaSearch(
                points_to_evaluate=[{"x": 2.0, "activation": "relu"}], seed=1
            ),
            num_samples=4,
            max_concurrent_trials=1,
        ),
    ).fit()
    best = by_run.get_best_result("loss", "min")
    print(json.dumps({
        "trials": len(by_run),
        "x": best.config["x"],
        "activation": best.config["activation"],
        "fixed": best.config["fixed"],
        "best": by_domains.get_best_result().config,
        "loss": by_domains.get_best_result().metrics["loss"],
    }))
