"""Values that a run derives from its specification, its trainable's class and the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localtune.config.spec import RunSpec
from localtune.controller.settings import RunSettings
from localtune.error import TuneError
from localtune.registry import get_trainable_cls
from localtune.resources import resource_dict_to_pg_factory
from localtune.result import MAX_PENDING_VARIABLE, REPEAT_SEED_VARIABLE
from localtune.schedulers.base import TrialScheduler
from localtune.trainable.function_trainable import FunctionTrainable
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable

# Most trials that may wait if sampling is cheap. Schedulers that fill groups need many.
_LOOKAHEAD = 200


def make_settings(
    spec: RunSpec, experiment_path: str, scheduler: TrialScheduler, seed: int
) -> RunSettings:
    """Returns the settings of the controller: the specification, and values derived from it.

    Args:
        spec: The specification of the run.
        experiment_path: Directory of the experiment.
        scheduler: The scheduler of the run.
        seed: Number that the seeds of the trials depend on.
    """
    trainable = get_trainable_cls(spec.trainable_name)
    own_methods = _own_methods(trainable)
    # A scheduler that clones trials changes their configs often. A worker whose trainable has
    # reset_config can take another config without a restart.
    can_reset = "reset_config" in own_methods
    return RunSettings(
        spec,
        experiment_path,
        resources_function(spec),
        can_save="save_checkpoint" in own_methods or issubclass(trainable, FunctionTrainable),
        reuse_workers=spec.tune_config.reuse_actors or (scheduler.clones_trials and can_reset),
        lookahead=_lookahead(spec.tune_config.num_samples),
        date_text=date_str(),
        seed=seed,
        repeat_seed=_repeat_seed(),
    )


def _own_methods(trainable: type[Trainable]) -> set[str]:
    """Returns the names that the user's classes define, which derive from localtune's."""
    return {
        name
        for each in trainable.__mro__
        if not each.__module__.startswith("localtune.trainable")
        for name in vars(each)
    }


def resources_function(spec: RunSpec) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """Returns the function that finds a trial's request: the trainable's, the run's, or 1 CPU."""
    trainable = get_trainable_cls(spec.trainable_name)
    of_run = resource_dict_to_pg_factory(spec.resources_per_trial)

    def resources_of(config: dict[str, Any]) -> PlacementGroupFactory:
        request = trainable.default_resource_request(config)
        if request is None:
            return of_run
        if spec.resources_per_trial is not None:
            raise TuneError(
                "Resources are asked for twice: by resources_per_trial "
                f"({spec.resources_per_trial!r}) and by the trainable itself ({request!r}). "
                "Remove one."
            )
        return resource_dict_to_pg_factory(request)

    return resources_of


def check_environment() -> None:
    """Raises ValueError for an invalid value of an environment variable that a run reads."""
    _max_pending_trials()
    _repeat_seed()


def _lookahead(num_samples: int) -> int:
    """Returns how many trials may wait to run."""
    given = _max_pending_trials()
    if given is not None:
        return given
    # The time budget ends a run without end; trials that wait then were made in vain.
    return 1 if num_samples == -1 else _LOOKAHEAD


def _max_pending_trials() -> int | None:
    """Returns how many trials may wait to run, if the user has set it."""
    text = os.environ.get(MAX_PENDING_VARIABLE, "auto")
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"{MAX_PENDING_VARIABLE} must be 'auto' or a whole number of at least 1, but got "
            f"{text!r}: set it to one of these, or unset it."
        )
    return int(text)


def _repeat_seed() -> int | None:
    """Returns the seed that all trials get, if the user repeats one trial."""
    text = os.environ.get(REPEAT_SEED_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 2**32:
        raise ValueError(
            f"{REPEAT_SEED_VARIABLE} must be a whole number from 0 to 2**32 - 1, but got {text!r}: "
            "take it from a report, or unset it."
        )
    return int(text)
