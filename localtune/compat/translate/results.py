"""Old attributes of analyses, results and trials: descriptors, as in the body of a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from localtune.analysis.experiment_analysis import ExperimentAnalysis
from localtune.old_names.by_trial import BY_DIRECTORY
from localtune.stopper import ExperimentPlateauStopper
from localtune.trial.trial import Trial
from localtune.utils.dicts import unflattened_lookup


def _path(self: Any) -> Any:
    return self.path


def _experiment_path(self: Trial) -> str:
    return self.experiment_path


def _get_best_logdir(
    self: ExperimentAnalysis,
    metric: str | None = None,
    mode: str | None = None,
    scope: str = "last",
    filter_nan_and_inf: bool = True,
) -> str | None:
    best = self.get_best_trial(metric, mode, scope, filter_nan_and_inf)
    return None if best is None else best.path


def _best_logdir(self: ExperimentAnalysis) -> str:
    return self.best_trial.path


def _get_trial_checkpoints_paths(
    self: ExperimentAnalysis, trial: Trial | str, metric: str | None = None
) -> list[tuple[str, Any]]:
    if isinstance(trial, str):
        trial = _trial_in(self.trials, trial)
    name = metric or self.default_metric or "training_iteration"
    return [
        (each.checkpoint.path, unflattened_lookup(name, each.metrics, default=None))
        for each in trial.known_checkpoints
    ]


def _fetch_trial_dataframes(self: ExperimentAnalysis) -> Any:
    return self.trial_dataframes


def _trial_in(trials: Sequence[Trial], directory: str) -> Trial:
    wanted = os.path.realpath(directory)
    for each in trials:
        if os.path.realpath(each.path) == wanted or each.trial_id == directory:
            return each
    raise ValueError(f"The experiment has no trial in {directory!r}.")


def _same(value: Any) -> Any:
    return value


_OF_PATH = property(_path)
TRANSLATIONS: dict[str, Any] = {
    "tune.Analysis": ExperimentAnalysis,
    "Result.log_dir": _OF_PATH,
    "Result.logdir": _OF_PATH,
    "Trial.logdir": _OF_PATH,
    "Trial.local_dir": property(_experiment_path),
    "ExperimentAnalysis.get_best_logdir": _get_best_logdir,
    "ExperimentAnalysis.best_logdir": property(_best_logdir),
    "ExperimentAnalysis.get_trial_checkpoints_paths": _get_trial_checkpoints_paths,
    "ExperimentAnalysis.fetch_trial_dataframes": _fetch_trial_dataframes,
    BY_DIRECTORY: _same,
    "analysis.get_best_checkpoint(directory)": _trial_in,
    "tune.EarlyStopping": ExperimentPlateauStopper,
    "tune.function": _same,
    "utils.pin_in_object_store": _same,
    "utils.get_pinned_object": _same,
}
