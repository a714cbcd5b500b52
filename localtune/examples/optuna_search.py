"""Optuna chooses the next configuration from the results so far, beginning with your guess.

python -m localtune.examples.optuna_search
"""

from __future__ import annotations

from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage
from localtune.search.optuna import OptunaSearch


def train(config: dict[str, Any]) -> None:
    """Trains a support vector machine, and reports once."""
    from sklearn.svm import SVC

    train_x, valid_x, train_y, valid_y = breast_cancer()
    model = SVC(C=config["C"], gamma=config["gamma"]).fit(train_x, train_y)
    tune.report({"accuracy": model.score(valid_x, valid_y)})


def main() -> None:
    samples = 6 if is_smoke(__doc__) else 40
    guess = {"C": 1.0, "gamma": 0.03}
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space={"C": tune.loguniform(1e-3, 1e3), "gamma": tune.loguniform(1e-6, 10.0)},
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                num_samples=samples,
                search_alg=OptunaSearch(points_to_evaluate=[guess]),
                seed=1,
            ),
            run_config=tune.RunConfig(storage_path=storage_path),
        ).fit()
    best = results.get_best_result()
    assert best.metrics is not None and results[0].metrics is not None
    print(f"\nYour guess: {results[0].metrics['accuracy']:.3f} with {guess}")
    print(f"Optuna:     {best.metrics['accuracy']:.3f} with {best.config}")


if __name__ == "__main__":
    main()
