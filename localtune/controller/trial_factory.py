"""Makes the record of a trial from a suggestion."""

from __future__ import annotations

import traceback
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.controller.naming import name_trial
from localtune.controller.settings import RunSettings
from localtune.error import TuneError
from localtune.resources import PlacementGroupFactory
from localtune.search.suggestion import Suggestion
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.trial import Trial
from localtune.utils.digests import sha256


def make_trial(settings: RunSettings, suggestion: Suggestion, number: int) -> Trial:
    """A trial as its run wants it.

    Args:
        settings: Of the run.
        suggestion: What the search algorithm handed out.
        number: How many trials the run has had before.

    Raises:
        TuneError: if the function that says which resources the trial needs fails.
        ValueError: for resources or names that cannot be used.
    """
    spec = settings.spec
    trial = Trial(
        spec.trainable_name,
        trial_id=suggestion.trial_id,
        config=suggestion.config,
        evaluated_params=suggestion.evaluated_params,
        experiment_tag=suggestion.experiment_tag,
        experiment_path=settings.experiment_path,
        placement_group_factory=_resources_of(settings, suggestion.config),
        stopping_criterion=spec.stop_bounds,
        checkpoint_config=spec.checkpoint_config,
        max_failures=spec.failure_config.max_failures,
        log_to_file=spec.run_config.output_files,
        start_point=_start_point(spec.restore),
        seed=(
            trial_seed(settings.seed, number)
            if settings.repeat_seed is None
            else settings.repeat_seed
        ),
    )
    name_trial(
        trial,
        name_creator=spec.tune_config.trial_name_creator,
        dirname_creator=spec.tune_config.trial_dirname_creator,
        date_text=settings.date_text,
    )
    return trial


def trial_seed(run_seed: int, number: int) -> int:
    """Returns the seed of a trial, which depends on the arguments alone.

    Args:
        run_seed: Seed of the run.
        number: Number of the trial in its run.

    Returns:
        A number from 0 to 2**32 - 1, which every library accepts.
    """
    digest = sha256(f"{run_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def _start_point(restore_path: str | None) -> StartPoint | None:
    if restore_path is None:
        return None
    return StartPoint(TrackedCheckpoint(Checkpoint(restore_path), {}, index=-1), owner_id=None)


def _resources_of(settings: RunSettings, config: dict[str, Any]) -> PlacementGroupFactory:
    try:
        return settings.resources_of(config)
    except (TuneError, ValueError):
        raise
    except Exception as error:
        raise TuneError(
            f"The function that says which resources a trial needs raised "
            f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        ) from error
