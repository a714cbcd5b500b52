"""What one run was asked to do, with all defaults resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.controller.limits import Limits
from localtune.resources import PlacementGroupFactory
from localtune.trial.trial import Trial


@dataclass(slots=True)
class RunSettings:
    """Settings of a run.

    Attributes:
        trainable_name: Name that the trainable is registered under.
        experiment_path: Directory of the experiment.
        metric: Metric that every result must have, None to check nothing.
        resources_of: Resource request of a trial with this config.
        checkpoint_config: With ``checkpoint_at_end`` resolved to a bool.
        stopping_criterion: The stop conditions that were given as a dict.
        max_concurrent_trials: How many trials may be alive at once; 0 is no limit.
        time_budget_s: Seconds after which everything is stopped; None is no limit.
        max_failures: How often one trial is retried; negative is without end.
        fail_fast: Whether the first failure ends the run.
        raise_first_error: Whether the first failure is also raised.
        reuse_workers: Whether workers go on to the next trial.
        lookahead: How many trials may wait to run.
        log_to_file: (stdout file, stderr file) of each trial.
        export_formats: Formats to export when a trial ends well.
        restore_path: Checkpoint that trials without one start from.
        trial_name_creator: ``trial -> name``, or None.
        trial_dirname_creator: ``trial -> directory name``, or None.
        date_text: Time of the run's start, for directory names.
        limits: Of time and of failures.
        can_save: Whether trials can be checkpointed.
        seed: What the seeds of the trials depend on.
        repeat_seed: Seed of each trial, when one is repeated; None for seeds of their own.
    """

    trainable_name: str
    experiment_path: str
    resources_of: Callable[[dict[str, Any]], PlacementGroupFactory]
    metric: str | None = None
    checkpoint_config: CheckpointConfig = field(default_factory=CheckpointConfig)
    stopping_criterion: Mapping[str, float] = field(default_factory=dict)
    max_concurrent_trials: int = 0
    time_budget_s: float | None = None
    max_failures: int = 0
    fail_fast: bool = False
    raise_first_error: bool = False
    reuse_workers: bool = False
    lookahead: int = 200
    log_to_file: tuple[str | None, str | None] = (None, None)
    export_formats: list[str] = field(default_factory=list)
    restore_path: str | None = None
    trial_name_creator: Callable[[Trial], str] | None = None
    trial_dirname_creator: Callable[[Trial], str] | None = None
    date_text: str = ""
    limits: Limits = field(default_factory=Limits)
    can_save: bool = True
    seed: int = 0
    repeat_seed: int | None = None
