"""The second search of a process by one of RandomizedSearchCV, whose workers are warm, too.

A forest of 10 small trees on 1,797 images of digits (about 30 ms per fit), 20 candidates and 3
folds, two jobs. One process searches with both in turn. The first search of each starts its
processes and is not counted; `joblib` keeps its workers, and localtune its guard.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

from _common import SLOTS, in_turn, median_ratio, middle, options, verdict

CANDIDATES = 20
FOLDS = 3


def main() -> None:
    parsed = options(__doc__, rounds=7, trees=10)
    warnings.simplefilter("ignore")
    from scipy.stats import randint
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import RandomizedSearchCV

    from localtune.integration.sklearn import LocaltuneSearchCV

    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(n_estimators=parsed.trees, random_state=0)
    space = {"max_depth": randint(4, 12), "min_samples_leaf": randint(1, 5)}
    common: dict[str, Any] = {"cv": FOLDS, "n_jobs": SLOTS, "random_state": 0}

    def ours() -> float:
        search = LocaltuneSearchCV(forest, space, n_trials=CANDIDATES, **common)
        started = time.perf_counter()
        search.fit(X, y)
        return time.perf_counter() - started

    def theirs() -> float:
        search = RandomizedSearchCV(forest, space, n_iter=CANDIDATES, **common)
        started = time.perf_counter()
        search.fit(X, y)
        return time.perf_counter() - started

    subject, floor = in_turn(parsed.rounds, ours, theirs)
    verdict(
        "second LocaltuneSearchCV.fit / RandomizedSearchCV",
        median_ratio(subject, floor),
        at_most=2.0,
        detail=f"{middle([1e3 * each for each in subject], 'ms')}; "
        f"with warm workers {middle([1e3 * each for each in floor], 'ms')}",
    )


if __name__ == "__main__":
    main()
