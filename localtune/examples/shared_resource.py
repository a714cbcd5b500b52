"""Trials share a scarce resource: a licence, of which the machine has one and a half.

    python -m localtune.examples.shared_resource

GPUs are shared in the same way: ``tune.with_resources(train, {"gpu": 0.5})``.
"""

from __future__ import annotations

import time
from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage


def train(config: dict[str, Any]) -> None:
    """Reports the accuracy, and the times of its start and end."""
    from sklearn.linear_model import LogisticRegression

    started = time.time()
    train_x, valid_x, train_y, valid_y = breast_cancer()
    model = LogisticRegression(C=config["C"], max_iter=1000).fit(train_x, train_y)
    tune.report(
        {"accuracy": model.score(valid_x, valid_y), "started": started, "ended": time.time()}
    )


def main() -> None:
    samples = 4 if is_smoke(__doc__) else 12
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            tune.with_resources(train, {"cpu": 0.5, "licence": 0.5}),
            param_space={"C": tune.loguniform(1e-3, 1e3)},
            tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=samples),
            run_config=tune.RunConfig(storage_path=storage_path),
            executor=tune.ProcessExecutor(num_cpus=8, resources={"licence": 1.5}),
        ).fit()
    spans = [each.metrics for each in results if each.metrics]
    most = max(
        sum(other["started"] <= each["started"] < other["ended"] for other in spans)
        for each in spans
    )
    print(f"\n{len(spans)} trials, at most {most} at a time: the licence is enough for 3.")


if __name__ == "__main__":
    main()
