"""Records of trials for tests of what reads and writes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.trial.checkpoint_dirs import is_mark_name
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.metric_analysis import update_metric_stats
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict


def make_trial(experiment: Path, number: int = 0, **options: Any) -> Trial:
    """A trial that has a directory."""
    trial = Trial("train", trial_id=f"abc_{number:05d}", experiment_path=str(experiment), **options)
    trial.dirname = f"trial_{number}"
    (experiment / trial.dirname).mkdir(parents=True, exist_ok=True)
    return trial


def trial_at(directory: Path) -> Trial:
    """A trial whose directory this is."""
    trial = Trial("train", trial_id="abc_00000", experiment_path=str(directory.parent))
    trial.dirname = directory.name
    return trial


def unmarked(trial_dir: str) -> list[str]:
    """The names in a trial's directory, without the marks of checkpoints that have no record."""
    return sorted(name for name in os.listdir(trial_dir) if not is_mark_name(name))


def add_results(trial: Trial, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Takes results into a trial's record, as a run does; returns them as they were completed."""
    first = trial.last_result.get("training_iteration", 0) + 1
    full = [
        {
            "training_iteration": iteration,
            "trial_id": trial.trial_id,
            **result,
            "config": trial.config,
        }
        for iteration, result in enumerate(results, first)
    ]
    for result in full:
        update_metric_stats(trial.metric_stats, flatten_dict(result))
        trial.last_result = result
    return full


def add_checkpoint(trial: Trial, metrics: dict[str, Any] | None = None) -> TrackedCheckpoint:
    """Makes the next checkpoint of a trial, as an empty directory, and takes it into its record."""
    index = trial.next_checkpoint_index
    path = Path(trial.path) / f"checkpoint_{index:06d}"
    path.mkdir()
    tracked = TrackedCheckpoint(
        Checkpoint(path), metrics if metrics is not None else trial.last_result, index
    )
    trial.checkpoints.register(tracked)
    trial.next_checkpoint_index += 1
    return tracked
