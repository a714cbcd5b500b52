"""A nested search space: models with parameters of their own, a computed value, and a grid.

python -m localtune.examples.nested_space
"""

from __future__ import annotations

from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage

SPACE = {
    "model": tune.grid_search(
        [
            {"kind": "svm", "C": tune.loguniform(1e-2, 1e2)},
            {"kind": "neighbours", "k": tune.randint(1, 30)},
            {"kind": "forest", "trees": tune.lograndint(5, 50), "depth": tune.randint(1, 10)},
        ]
    ),
    # A function of the values that were drawn before.
    "bootstrap": tune.sample_from(lambda config: config["model"]["kind"] == "forest"),
}


def make_model(config: dict[str, Any]) -> Any:
    """Makes the classifier that a configuration describes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    model = config["model"]
    if model["kind"] == "svm":
        return SVC(C=model["C"])
    if model["kind"] == "neighbours":
        return KNeighborsClassifier(model["k"])
    return RandomForestClassifier(
        model["trees"], max_depth=model["depth"], bootstrap=config["bootstrap"], random_state=0
    )


def train(config: dict[str, Any]) -> dict[str, float]:
    """Returns its only result instead of reporting it."""
    train_x, valid_x, train_y, valid_y = breast_cancer()
    return {"accuracy": make_model(config).fit(train_x, train_y).score(valid_x, valid_y)}


def main() -> None:
    samples = 2 if is_smoke(__doc__) else 10
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space=SPACE,
            tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=samples, seed=1),
            run_config=tune.RunConfig(storage_path=storage_path),
        ).fit()
    for kind in ("svm", "neighbours", "forest"):
        found = [result for result in results if result.config and result.metrics]
        best = max(
            each.metrics["accuracy"]
            for each in found
            if each.metrics and each.config and each.config["model"]["kind"] == kind
        )
        print(f"{kind:<12}{best:.3f}")


if __name__ == "__main__":
    main()
