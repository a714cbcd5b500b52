"""Runs all trials in this process, so that breakpoints, prints and profilers work.

python -m localtune.examples.debug
"""

from __future__ import annotations

import os
from typing import Any

import localtune as tune
from localtune.error import TrialTaskError
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage


def train(config: dict[str, Any]) -> None:
    """Trains a decision tree; fails for a depth that is not allowed."""
    from sklearn.tree import DecisionTreeClassifier

    train_x, valid_x, train_y, valid_y = breast_cancer()
    # Put breakpoint() here.
    model = DecisionTreeClassifier(max_depth=config["max_depth"]).fit(train_x, train_y)
    tune.report({"accuracy": model.score(valid_x, valid_y), "pid": os.getpid()})


def main() -> None:
    depths = [1, 0] if is_smoke(__doc__) else [1, 2, 4, 0]
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space={"max_depth": tune.grid_search(depths)},
            run_config=tune.RunConfig(storage_path=storage_path),
            executor="inprocess",
        ).fit()
    assert all(each.metrics["pid"] == os.getpid() for each in results if each.metrics)
    for result in results:
        if result.error is not None:
            # The error has the class of the exception in the trial, and holds its traceback.
            assert isinstance(result.error, TrialTaskError) and isinstance(result.error, ValueError)
            print(f"\nmax_depth={result.config and result.config['max_depth']} failed:")
            print(result.error.cause)


if __name__ == "__main__":
    main()
