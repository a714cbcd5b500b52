"""A first sweep: a function that reports, a search space, and the best configuration.

python -m localtune.examples.first_sweep
"""

from __future__ import annotations

from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage


def train(config: dict[str, Any]) -> None:
    """Trains a model with one configuration, and reports the metric to optimise."""
    from sklearn.ensemble import RandomForestClassifier

    train_x, valid_x, train_y, valid_y = breast_cancer()
    model = RandomForestClassifier(**config, random_state=0).fit(train_x, train_y)
    tune.report({"accuracy": model.score(valid_x, valid_y)})


def main() -> None:
    smoke = is_smoke(__doc__)
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space={
                "n_estimators": tune.lograndint(5, 20 if smoke else 200),
                "max_depth": tune.randint(1, 12),
                "max_features": tune.uniform(0.1, 1.0),
            },
            tune_config=tune.TuneConfig(
                metric="accuracy", mode="max", num_samples=4 if smoke else 30, seed=1
            ),
            run_config=tune.RunConfig(storage_path=storage_path),
        ).fit()
    best = results.get_best_result()
    assert best.metrics is not None
    print(f"\nBest accuracy {best.metrics['accuracy']:.3f} with {best.config}")


if __name__ == "__main__":
    main()
