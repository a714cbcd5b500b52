"""Follows a run with a callback, stop conditions and TensorBoard.

python -m localtune.examples.watch_a_run
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage
from localtune.logger import TBXLoggerCallback
from localtune.stopper import CombinedStopper, MaximumIterationStopper, TrialPlateauStopper


class Records(tune.Callback):
    """Prints each new best value. Hooks run in the parent process, and so must be quick."""

    def __init__(self) -> None:
        self.best = 0.0

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if result["accuracy"] > self.best:
            self.best = result["accuracy"]
            print(
                f"{trial} has reached {self.best:.3f} in iteration {result['training_iteration']}"
            )


def train(config: dict[str, Any]) -> None:
    """Trains without end. The stop conditions end it."""
    from sklearn.linear_model import Perceptron

    train_x, valid_x, train_y, valid_y = breast_cancer()
    model = Perceptron(eta0=config["eta0"], random_state=0)
    while True:
        model.partial_fit(train_x, train_y, classes=[0, 1])
        tune.report({"accuracy": model.score(valid_x, valid_y)})


def main() -> None:
    smoke = is_smoke(__doc__)
    stop = CombinedStopper(
        MaximumIterationStopper(6 if smoke else 50),
        TrialPlateauStopper("accuracy", std=0.001, num_results=4, grace_period=4),
    )
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            train,
            param_space={"eta0": tune.loguniform(1e-3, 10.0)},
            tune_config=tune.TuneConfig(
                metric="accuracy", mode="max", num_samples=3 if smoke else 10, seed=1
            ),
            run_config=tune.RunConfig(
                storage_path=storage_path, stop=stop, callbacks=[Records(), TBXLoggerCallback()]
            ),
        ).fit()
        events = list(Path(results.experiment_path).glob("*/events.out.tfevents.*"))
        print(f"\n{len(events)} event files: tensorboard --logdir {os.fspath(storage_path)}")


if __name__ == "__main__":
    main()
