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
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.trainable.function_trainable import FunctionTrainable
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable

# Trials of a space that costs nothing to sample may wait in numbers: schedulers that fill groups
# see more of them.
_LOOKAHEAD = 200


def make_settings(
    spec: RunSpec, experiment_path: str, scheduler: TrialScheduler, seed: int
) -> RunSettings:
    """The settings of the controller: the specification, and the values derived from it.

    Args:
        spec: Of the run.
        experiment_path: Directory of the experiment.
        scheduler: Of the run.
        seed: Number that the seeds of the trials depend on.
    """
    trainable = get_trainable_cls(spec.trainable_name)
    own_methods = _own_methods(trainable)
    # A scheduler that clones trials changes their configs all the time. A worker whose trainable
    # has reset_config need not be started again for that.
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
    """Names that the user's classes define: those above localtune's own."""
    return {
        name
        for each in trainable.__mro__
        if not each.__module__.startswith("localtune.trainable")
        for name in vars(each)
    }


def resources_function(spec: RunSpec) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """How the request of a trial is found: the trainable's own, else the run's, else 1 CPU."""
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
    """Raises ValueError if a variable of the environment that a run reads makes no sense."""
    _max_pending_trials()
    _repeat_seed()


def _lookahead(num_samples: int) -> int:
    """How many trials may wait to run."""
    given = _max_pending_trials()
    if given is not None:
        return given
    # A run without end is ended by its time budget: what waits then has been made in vain.
    return 1 if num_samples == -1 else _LOOKAHEAD


def _max_pending_trials() -> int | None:
    """How many trials may wait to run, if the user says so."""
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
    """The seed that all trials get, if the user repeats one trial."""
    text = os.environ.get(REPEAT_SEED_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 2**32:
        raise ValueError(
            f"{REPEAT_SEED_VARIABLE} must be a whole number from 0 to 2**32 - 1, but got {text!r}: "
            "take it from a report, or unset it."
        )
    return int(text)
