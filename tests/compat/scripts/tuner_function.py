"""Ray 2.x: a function, a grid, and the results as a table."""
import json

from ray import tune
from ray.tune import RunConfig


def objective(config):
    score = 0.0
    for step in range(1, 6):
        score = config["a"] ** 2 - config["b"] / step
        tune.report({"score": score, "step": step})


def main():
    tuner = tune.Tuner(
        objective,
        param_space={"a": tune.grid_search([0.5, 1.0, 2.0]), "b": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(metric="score", mode="min"),
        run_config=RunConfig(name="tuner_function", verbose=1),
    )
    results = tuner.fit()
    best = results.get_best_result()
    frame = results.get_dataframe()
    print(json.dumps({
        "trials": len(results),
        "errors": results.num_errors,
        "best": best.config,
        "score": best.metrics["score"],
        "iterations": sorted(frame["training_iteration"].tolist()),
        "rows": len(best.metrics_dataframe),
        "has_config": "config/a" in frame.columns,
    }))


if __name__ == "__main__":
    main()
