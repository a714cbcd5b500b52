"""A class with checkpoints: trials fail in the middle, and go on from their checkpoints.

python -m localtune.examples.checkpoints
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage


class Network(tune.Trainable):
    """A small network. An iteration is one pass over the data."""

    def setup(self, config: dict[str, Any]) -> None:
        from sklearn.neural_network import MLPClassifier

        self.data = breast_cancer()
        self.model = MLPClassifier((16,), learning_rate_init=config["learning_rate"])

    def step(self) -> dict[str, Any]:
        if self.iteration == 3 and not os.path.exists(self.config["data_set"]):
            raise FileNotFoundError(f"{self.config['data_set']} is not there.")
        train_x, valid_x, train_y, valid_y = self.data
        self.model.partial_fit(train_x, train_y, classes=[0, 1])
        return {"accuracy": self.model.score(valid_x, valid_y)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "model.pkl").write_bytes(pickle.dumps(self.model))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.model = pickle.loads(Path(checkpoint_dir, "model.pkl").read_bytes())


def main() -> None:
    iterations = 5 if is_smoke(__doc__) else 30
    with scratch_storage() as storage_path:
        data_set = os.path.join(storage_path, "data set")
        tune.Tuner(
            Network,
            param_space={
                "learning_rate": tune.grid_search([0.0001, 0.001, 0.01]),
                "data_set": data_set,
            },
            tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
            run_config=tune.RunConfig(
                name="network",
                storage_path=storage_path,
                stop={"training_iteration": iterations},
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1),
            ),
        ).fit()

        print("\nThe data set is put in its place, and the failed trials go on.\n")
        Path(data_set).touch()
        path = os.path.join(storage_path, "network")
        results = tune.Tuner.restore(path, Network, resume_errored=True).fit()
        best = results.get_best_result()
        assert best.metrics is not None and best.checkpoint is not None
        print(f"\nBest accuracy {best.metrics['accuracy']:.3f}. Its latest checkpoint is")
        print(best.checkpoint.path)


if __name__ == "__main__":
    main()
