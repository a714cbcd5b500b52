"""The assignment of a trial: the data with which a worker serves it."""

from __future__ import annotations

from collections.abc import Mapping

from localtune.error import TrialError
from localtune.result import CHANNEL_VARIABLE, TRIAL_SEED_VARIABLE
from localtune.trial.trial import Trial
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.utils.serialization import dumps
from localtune.worker import messages


class UnpicklableConfigError(TrialError):
    """A configuration that cannot be sent to a worker."""


def assignment_of(
    trial: Trial, environment: Mapping[str, str | None] | None = None
) -> messages.Assignment:
    """Returns the assignment of a trial whose directory exists.

    Args:
        trial: The trial that the worker is to serve.
        environment: Environment variables to set in the worker; None as a value unsets one.

    Raises:
        UnpicklableConfigError: if the trial's config cannot be pickled.
    """
    info = TrialInfo(
        trial_id=trial.trial_id,
        trial_name=str(trial),
        experiment_name=trial.experiment_dir_name,
        trial_dir=trial.path,
        experiment_dir=trial.experiment_path,
        resources=trial.placement_group_factory,
        seed=trial.try_seed,
    )
    return messages.Assignment(
        info,
        pickled_config(trial),
        StorageContext(trial.experiment_path, trial.path, trial.next_checkpoint_index),
        output_files=trial.log_to_file,
        environment={
            **(environment or {}),
            TRIAL_SEED_VARIABLE: str(trial.try_seed),
            # The run may belong to a program that is a trial of another run.
            CHANNEL_VARIABLE: None,
        },
    )


def pickled_config(trial: Trial) -> bytes:
    """Returns the config of a trial as a worker gets it.

    Raises:
        UnpicklableConfigError: if it cannot be pickled; the text names the entry that is to blame.
    """
    try:
        return dumps(trial.config, f"The config of trial {trial}")
    except TypeError as error:
        raise UnpicklableConfigError(str(error)) from error
