"""Population based training: bad trials copy good ones, and change their learning rate.

python -m localtune.examples.population
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.examples._data import breast_cancer, is_smoke, scratch_storage
from localtune.schedulers import PopulationBasedTraining


class Network(tune.Trainable):
    """A linear model. With reset_config, a process can go on with another configuration."""

    def setup(self, config: dict[str, Any]) -> None:
        from sklearn.linear_model import SGDClassifier

        self.data = breast_cancer()
        self.model = SGDClassifier(loss="log_loss", learning_rate="constant", random_state=0)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.model.set_params(eta0=new_config["learning_rate"])
        return True

    def step(self) -> dict[str, Any]:
        from sklearn.metrics import log_loss

        train_x, valid_x, train_y, valid_y = self.data
        self.model.partial_fit(train_x, train_y, classes=[0, 1])
        return {"loss": log_loss(valid_y, self.model.predict_proba(valid_x))}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "model.pkl").write_bytes(pickle.dumps(self.model))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.model = pickle.loads(Path(checkpoint_dir, "model.pkl").read_bytes())
        self.model.set_params(eta0=self.config["learning_rate"])


def main() -> None:
    smoke = is_smoke(__doc__)
    scheduler = PopulationBasedTraining(
        perturbation_interval=2,
        hyperparam_mutations={"learning_rate": tune.loguniform(1e-5, 1.0)},
    )
    with scratch_storage() as storage_path:
        results = tune.Tuner(
            Network,
            param_space={"learning_rate": tune.loguniform(1e-5, 1.0)},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=4, scheduler=scheduler, seed=1
            ),
            run_config=tune.RunConfig(
                storage_path=storage_path, stop={"training_iteration": 6 if smoke else 30}
            ),
        ).fit()
    best = results.get_best_result()
    assert best.metrics is not None
    print(f"\nBest loss {best.metrics['loss']:.4f}, in the end with {best.config}")


if __name__ == "__main__":
    main()
