"""A sweep of 60 trainings on all CPUs by the same trainings of warm joblib workers.

One training fits a forest of scikit-learn with one thread, about a second. The claim is the wall
time of `joblib` by that of the sweep: 1 is a sweep that adds nothing. Both have had a run before,
so that their processes are warm.
"""

from __future__ import annotations

import os
import time
from typing import Any

from _common import median_ratio, middle, options, sweep, verdict


def train(trees: int, seed: float) -> float:
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(n_estimators=trees, random_state=int(seed * 1e6), n_jobs=1)
    return float(forest.fit(X, y).score(X, y))


def main() -> None:
    parsed = options(__doc__, rounds=5, trainings=60, trees=300)
    import joblib

    slots = len(os.sched_getaffinity(0))
    trees: int = parsed.trees
    work = train  # A local name, which travels by value.

    def trial(config: dict[str, Any]) -> dict[str, float]:
        return {"score": work(trees, config["x"])}

    def by_sweep(count: int) -> float:
        started = time.perf_counter()
        sweep(trial, count, slots=slots)
        return time.perf_counter() - started

    def by_joblib(count: int) -> float:
        started = time.perf_counter()
        tasks = [joblib.delayed(work)(trees, n / count) for n in range(count)]
        joblib.Parallel(n_jobs=slots, batch_size=1)(tasks)
        return time.perf_counter() - started

    # A few trainings make processes warm; a whole round takes half a minute on two CPUs.
    by_sweep(2 * slots)
    by_joblib(2 * slots)
    subject, floor = [], []
    for _ in range(parsed.rounds):
        subject.append(by_sweep(parsed.trainings))
        floor.append(by_joblib(parsed.trainings))
    verdict(
        f"{parsed.trainings} trainings on all CPUs: joblib / sweep",
        median_ratio(floor, subject),
        at_least=0.95,
        detail=f"{middle(subject, 's', 1)}; joblib {middle(floor, 's', 1)}",
    )


if __name__ == "__main__":
    main()
