"""ASHA trains many configurations for a short time, and the best of them to the end.

python -m localtune.examples.early_stopping
"""

from __future__ import annotations

from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage
from localtune.schedulers import ASHAScheduler

MAX_ITERATIONS = 27


def train(config: dict[str, Any]) -> None:
    """Reports after each pass over the data. The scheduler may stop it at any report."""
    from sklearn.linear_model import SGDClassifier

    train_x, valid_x, train_y, valid_y = breast_cancer()
    model = SGDClassifier(
        loss="log_loss",
        alpha=config["alpha"],
        eta0=config["learning_rate"],
        learning_rate="constant",
        random_state=0,
    )
    for _ in range(MAX_ITERATIONS):
        model.partial_fit(train_x, train_y, classes=[0, 1])
        tune.report({"accuracy": model.score(valid_x, valid_y)})


def main() -> None:
    samples = 6 if is_smoke(__doc__) else 40
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space={
                "alpha": tune.loguniform(1e-6, 1.0),
                "learning_rate": tune.loguniform(1e-4, 1.0),
            },
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                num_samples=samples,
                scheduler=ASHAScheduler(max_t=MAX_ITERATIONS, grace_period=1, reduction_factor=3),
                seed=1,
            ),
            run_config=tune.RunConfig(storage_path=storage_path),
        ).fit()
    trained = sum(result.metrics["training_iteration"] for result in results if result.metrics)
    best = results.get_best_result()
    assert best.metrics is not None
    print(f"\nBest accuracy {best.metrics['accuracy']:.3f} with {best.config}")
    print(f"Trained {trained} iterations; without ASHA {samples * MAX_ITERATIONS}.")


if __name__ == "__main__":
    main()
