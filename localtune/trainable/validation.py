"""Tries whether a trainable can be saved and restored."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

from localtune.result import TRAINING_ITERATION
from localtune.trial.trial_info import StorageContext

if TYPE_CHECKING:
    from localtune.trainable.trainable import Trainable

_ITERATIONS_BEFORE_SAVE = 3
_ITERATIONS_AFTER_RESTORE = 2


def check_save_restore(trainable_cls: type[Trainable], config: dict[str, Any]) -> None:
    """Saves one instance, restores another one, and checks that its iterations continue.

    Args:
        trainable_cls: Class to try.
        config: Hyperparameters; each instance gets a copy.

    Raises:
        AssertionError: if the iterations do not continue.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="localtune_validate_") as directory:
        saving = _construct(trainable_cls, config, os.path.join(directory, "saving"))
        try:
            for iteration in range(1, _ITERATIONS_BEFORE_SAVE + 1):
                _train(saving, iteration)
            saved = saving.save()
            if saved.checkpoint is None:
                raise AssertionError(
                    f"{saving!r} saved no checkpoint: its reports must include one, "
                    "report(metrics, checkpoint=...)."
                )
            restored = _construct(trainable_cls, config, os.path.join(directory, "restored"))
            try:
                restored.restore(saved)
                for iteration in range(1, _ITERATIONS_AFTER_RESTORE + 1):
                    _train(restored, _ITERATIONS_BEFORE_SAVE + iteration)
            finally:
                restored.stop()
        finally:
            saving.stop()


def _construct(trainable_cls: type[Trainable], config: dict[str, Any], path: str) -> Trainable:
    os.mkdir(path)
    storage = StorageContext(os.path.dirname(path), path)
    return trainable_cls(copy.deepcopy(config), storage=storage)


def _train(trainable: Trainable, expected_iteration: int) -> None:
    result = trainable.train()
    iteration = result.get(TRAINING_ITERATION)
    if iteration != expected_iteration:
        raise AssertionError(
            f"{trainable!r} should report training_iteration {expected_iteration}, but "
            f"reported {iteration}: {result!r}."
        )
