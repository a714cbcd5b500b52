"""Holds the facts about a trial that its trainable gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.result import CHECKPOINT_DIR_FORMAT

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory


@dataclass(slots=True)
class TrialInfo:
    """Holds names, directories and resources of one trial.

    Attributes:
        trial_id: Id of the trial, unique in its experiment.
        trial_name: Name of the trial in tables.
        experiment_name: Name of the experiment.
        trial_dir: Absolute path of the trial's directory.
        experiment_dir: Absolute path of the experiment's directory.
        resources: Resources reserved for the trial; None without a reservation.
        seed: Seed for all random numbers of the trial.
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
    """Describes where a trainable keeps its checkpoints.

    Attributes:
        experiment_dir: Absolute path of the experiment's directory.
        trial_dir: Absolute path of the trial's directory; it exists.
        next_checkpoint_index: Lowest number for the next checkpoint, from 0. Each written
            checkpoint increases it. Numbers whose path is in use are skipped.
    """

    experiment_dir: str
    trial_dir: str
    next_checkpoint_index: int = 0

    def checkpoint_path(self, index: int) -> str:
        """Returns the path of the checkpoint with a number.

        Args:
            index: Number of the checkpoint, from 0.

        Returns:
            Absolute path; the directory need not exist.
        """
        return os.path.join(self.trial_dir, CHECKPOINT_DIR_FORMAT.format(index))
