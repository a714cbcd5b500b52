"""Facts about a trial that its program can use: as ``{name}`` and as environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.result import (
    DEFAULT_EXPERIMENT_NAME,
    EXPR_PARAM_FILE,
    TRIAL_SEED_VARIABLE,
)

if TYPE_CHECKING:
    from localtune.trial.trial_info import StorageContext, TrialInfo

# {reserved name: its environment variable}
FACT_VARIABLES = {
    "trial_id": "LOCALTUNE_TRIAL_ID",
    "trial_name": "LOCALTUNE_TRIAL_NAME",
    "trial_dir": "LOCALTUNE_TRIAL_DIR",
    "experiment_name": "LOCALTUNE_EXPERIMENT_NAME",
    "experiment_dir": "LOCALTUNE_EXPERIMENT_DIR",
    "seed": TRIAL_SEED_VARIABLE,
    "gpu_ids": "LOCALTUNE_GPU_IDS",
    "checkpoint_dir": "LOCALTUNE_CHECKPOINT_DIR",
    "params_file": "LOCALTUNE_PARAMS_FILE",
    "metrics_file": "LOCALTUNE_METRICS_FILE",
    "original_dir": "TUNE_ORIG_WORKING_DIR",
}
_STAND_ALONE = "default"
# Contains the state of a program while it runs; not copied to a store.
_STATE_DIR = ".staging_program_state"


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about one start of a program; :data:`FACT_VARIABLES` names them.

    Attributes:
        trial_id: Id of the trial.
        trial_name: Name of the trial.
        trial_dir: Absolute path of the trial's directory.
        experiment_name: Name of the experiment.
        experiment_dir: Absolute path of the experiment's directory.
        seed: Seed of the trial, as text.
        gpu_ids: Ids of the trial's GPUs, joined with commas.
        checkpoint_dir: Directory for the program's state.
        params_file: File with the configuration.
        metrics_file: File that the program may write results to.
        original_dir: Directory that the run was started from.
    """

    trial_id: str
    trial_name: str
    trial_dir: str
    experiment_name: str
    experiment_dir: str
    seed: str
    gpu_ids: str
    checkpoint_dir: str
    params_file: str
    metrics_file: str
    original_dir: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables with the facts."""
        return {variable: getattr(self, name) for name, variable in FACT_VARIABLES.items()}


def facts_of(
    info: TrialInfo | None,
    storage: StorageContext,
    metrics_file: str,
    *,
    original_dir: str | None = None,
) -> Facts:
    """Returns the facts about a trial.

    Args:
        info: The trial; None without one.
        storage: Its directories.
        metrics_file: Path relative to the trial's directory.
        original_dir: Directory that relative paths start from; None is the one that the run was
            started from.
    """
    trial_dir = os.path.abspath(storage.trial_dir)
    return Facts(
        trial_id=info.trial_id if info else _STAND_ALONE,
        trial_name=info.trial_name if info else _STAND_ALONE,
        trial_dir=trial_dir,
        experiment_name=info.experiment_name if info else DEFAULT_EXPERIMENT_NAME,
        experiment_dir=os.path.abspath(storage.experiment_dir),
        seed=str(info.seed if info else 0),
        gpu_ids=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        checkpoint_dir=os.path.join(trial_dir, _STATE_DIR),
        params_file=os.path.join(trial_dir, EXPR_PARAM_FILE),
        metrics_file=os.path.join(trial_dir, metrics_file),
        original_dir=original_dir or original_directory(),
    )


def original_directory() -> str:
    """Returns the directory that the run was started from, in the parent and in a worker."""
    return os.environ.get(FACT_VARIABLES["original_dir"]) or os.getcwd()
