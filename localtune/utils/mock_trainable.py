"""A trainable for tests of callbacks and schedulers, under the path that it has in Ray Tune."""

from __future__ import annotations

import json
import os
import random
from typing import Any

from localtune.registry import register_trainable
from localtune.trainable.trainable import Trainable

# A config with this key set makes the trainable fail in its first iteration.
MOCK_ERROR_KEY = "mock_error"
MOCK_TRAINABLE_NAME = "mock_trainable"

_STATE_FILE = "checkpoint"


class MyTrainableClass(Trainable):
    """Reports a random ``episode_reward_mean`` in each iteration, and keeps its state in a file."""

    def setup(self, config: dict[str, Any]) -> None:
        self._fails = bool(config.get(MOCK_ERROR_KEY))
        self.timestep = 0

    def step(self) -> dict[str, Any]:
        if self._fails:
            raise RuntimeError(f"The config has {MOCK_ERROR_KEY!r}, so this trial fails.")
        self.timestep += 1
        return {"episode_reward_mean": random.gauss(0.0, 1.0) + self.timestep}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        with open(os.path.join(checkpoint_dir, _STATE_FILE), "w", encoding="utf-8") as file:
            json.dump({"timestep": self.timestep}, file)

    def load_checkpoint(self, checkpoint: Any) -> None:
        with open(os.path.join(checkpoint, _STATE_FILE), encoding="utf-8") as file:
            self.timestep = json.load(file)["timestep"]


def register_mock_trainable() -> None:
    """Registers :class:`MyTrainableClass` under the name :data:`MOCK_TRAINABLE_NAME`."""
    register_trainable(MOCK_TRAINABLE_NAME, MyTrainableClass)
