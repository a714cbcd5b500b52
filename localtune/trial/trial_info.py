"""What a trainable is told about the trial that it serves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.result import CHECKPOINT_DIR_FORMAT

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory


@dataclass(slots=True)
class TrialInfo:
    """Names, places and resources of one trial.

    Attributes:
        trial_id: Id of the trial, unique in its experiment.
        trial_name: Name of the trial, as tables show it.
        experiment_name: Name of the experiment.
        trial_dir: Absolute path of the trial's directory.
        experiment_dir: Absolute path of the experiment's directory.
        resources: What is reserved for the trial, or None where nothing is.
        seed: What everything drawn at random in the trial should depend on.
    """

    trial_id: str
    trial_name: str
    experiment_name: str
    trial_dir: str
    experiment_dir: str
    resources: PlacementGroupFactory | None
    seed: int = 0


@dataclass(slots=True)
class StorageContext:
    """Where a trainable keeps its checkpoints.

    Attributes:
        experiment_dir: Absolute path of the experiment's directory.
        trial_dir: Absolute path of the trial's directory; it exists.
        next_checkpoint_index: Number of the next checkpoint, from 0; a higher one if something
            else has its path. It grows with each checkpoint that is written.
    """

    experiment_dir: str
    trial_dir: str
    next_checkpoint_index: int = 0

    def checkpoint_path(self, index: int) -> str:
        """Path of the checkpoint with a number.

        Args:
            index: Number of the checkpoint, from 0.

        Returns:
            Absolute path; the directory need not exist.
        """
        return os.path.join(self.trial_dir, CHECKPOINT_DIR_FORMAT.format(index))
