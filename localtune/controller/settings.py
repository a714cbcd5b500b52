"""RunSettings: the specification of a run, and the values that are derived from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localtune.config.spec import RunSpec
from localtune.resources import PlacementGroupFactory


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The specification of a run, and the values that are derived from it.

    They depend on the class of the trainable, on the environment, or on the time.

    Attributes:
        spec: All that the run was asked for.
        experiment_path: Directory of the experiment.
        resources_of: Returns the resource request of a trial with a config.
        can_save: Whether trials can be checkpointed.
        reuse_workers: Whether workers go on to the next trial.
        lookahead: How many trials may wait to run.
        date_text: Time of the run's start, for the names of directories.
        seed: Number that the seeds of the trials depend on.
        repeat_seed: Seed of each trial if one trial is repeated; None for seeds of their own.
    """

    spec: RunSpec
    experiment_path: str
    resources_of: Callable[[dict[str, Any]], PlacementGroupFactory]
    can_save: bool = True
    reuse_workers: bool = False
    lookahead: int = 200
    date_text: str = ""
    seed: int = 0
    repeat_seed: int | None = None
