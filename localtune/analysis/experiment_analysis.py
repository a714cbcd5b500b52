"""ExperimentAnalysis: the trials of an experiment, and which one is best."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.experiment.metric_analysis import SCOPES, MetricStats
from localtune.experiment.trial import Trial
from localtune.result import CONFIG_PREFIX, DEFAULT_METRIC, TRAINING_ITERATION
from localtune.trial_result import import_pandas, lookup, results_dataframe
from localtune.utils.dicts import flatten_dict

if TYPE_CHECKING:
    import pandas


class ExperimentAnalysis:
    """The trials of an experiment.

    Args:
        experiment_checkpoint_path: Directory of the experiment, or a file in it.
        storage_filesystem: Accepted for compatibility.
        trials: Its trials; None reads them from the directory.
        default_metric: Metric that questions without one mean.
        default_mode: ``"min"`` or ``"max"``, likewise.

    Raises:
        ValueError: for another mode, or without trials and a directory.
        StorageError: if the directory holds no experiment.
    """

    def __init__(
        self,
        experiment_checkpoint_path: str | os.PathLike[str] | None = None,
        *,
        storage_filesystem: Any = None,
        trials: Sequence[Trial] | None = None,
        default_metric: str | None = None,
        default_mode: str | None = None,
    ) -> None:
        self.default_mode = check_mode(default_mode)
        if default_metric is None and default_mode is not None:
            default_metric = DEFAULT_METRIC
        self.default_metric = default_metric
        self._path = _directory_of(experiment_checkpoint_path)
        if trials is None:
            trials = _load_trials(self._path)
        self.trials: list[Trial] = list(trials)

    @property
    def experiment_path(self) -> str:
        """Directory of the experiment."""
        return self._path or (self.trials[0].experiment_path if self.trials else "")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """{trial id: its last result}."""
        return {trial.trial_id: trial.last_result for trial in self.trials}

    # -- the best -------------------------------------------------------------------------------

    def get_best_trial(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Trial | None:
        """The trial with the best value of a metric; of equal ones, the first.

        Args:
            metric: Flat name of the metric; None is the default metric.
            mode: ``"min"`` or ``"max"``; None is the default mode.
            scope: Which value of each trial counts: ``"last"``, ``"all"`` (its best),
                ``"avg"``, ``"last-5-avg"`` or ``"last-10-avg"``.
            filter_nan_and_inf: Whether trials with such a value are left out.

        Returns:
            The trial; None if no trial has the metric.

        Raises:
            ValueError: without metric or mode, or for a mode or scope that does not exist.
        """
        metric, mode = self._metric_and_mode(metric, mode)
        if scope not in SCOPES:
            raise ValueError(f"scope must be one of {', '.join(SCOPES)}, but got {scope!r}.")
        best, best_value = None, -math.inf
        sign = 1.0 if mode == "max" else -1.0
        for trial in self.trials:
            stats: MetricStats | None = trial.metric_stats.get(metric)
            if stats is None:
                continue
            value = sign * stats.value(scope, mode)
            if filter_nan_and_inf and not math.isfinite(value):
                continue
            if best is None or value > best_value or math.isnan(best_value):
                best, best_value = trial, value
        return best

    def get_best_config(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last"
    ) -> dict[str, Any] | None:
        """Configuration of :meth:`get_best_trial`, None if there is none."""
        trial = self.get_best_trial(metric, mode, scope)
        return trial.config if trial is not None else None

    def get_best_checkpoint(
        self, trial: Trial, metric: str | None = None, mode: str | None = None
    ) -> Checkpoint | None:
        """The best checkpoint of a trial.

        Args:
            trial: The trial.
            metric: Flat name of the metric; None is the default metric, or the iteration.
            mode: ``"min"`` or ``"max"``; None is the default mode, or ``"max"``.

        Returns:
            The checkpoint; None if none has the metric.
        """
        metric = metric or self.default_metric or TRAINING_ITERATION
        sign = -1 if (check_mode(mode) or self.default_mode) == "min" else 1
        best, best_value = None, -math.inf
        for tracked in trial.checkpoints.kept:
            value = lookup(tracked.metrics, metric)
            if not isinstance(value, (int, float)) or math.isnan(value):
                continue
            if best is None or sign * value > best_value:
                best, best_value = tracked.checkpoint, sign * value
        return best

    def get_last_checkpoint(
        self, trial: Trial | None = None, metric: str = TRAINING_ITERATION, mode: str = "max"
    ) -> Checkpoint | None:
        """The checkpoint of the highest iteration: of a trial, or of the one that came furthest."""
        trial = trial or self.get_best_trial(metric, mode)
        return self.get_best_checkpoint(trial, TRAINING_ITERATION, "max") if trial else None

    @property
    def best_trial(self) -> Trial:
        """The best trial by the default metric and mode."""
        return self._best()

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self._best().config

    @property
    def best_result(self) -> dict[str, Any]:
        """Last result of the best trial."""
        return self._best().last_result

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """Best checkpoint of the best trial."""
        return self.get_best_checkpoint(self._best())

    @property
    def best_dataframe(self) -> pandas.DataFrame | None:
        """All results of the best trial."""
        return results_dataframe(self._best().path)

    @property
    def best_result_df(self) -> pandas.DataFrame:
        """Last result of the best trial as a table of one row."""
        best = self._best()
        return self._frame([best], [best.last_result])

    def _best(self) -> Trial:
        best = self.get_best_trial()
        if best is None:
            raise ValueError(
                f"No trial has a finite value of the metric {self.default_metric!r}. "
                f"{self.explain_metric(self.default_metric or '')}"
            )
        return best

    def explain_metric(self, metric: str) -> str:
        """Which metrics there are, and which one may be meant."""
        from localtune.utils.text import near_miss

        known = sorted({key for trial in self.trials for key in trial.metric_stats})
        if not known:
            return "No trial has reported a number."
        guess = near_miss(metric, known)
        hint = f"Did you mean {guess!r}? " if guess and metric not in known else ""
        return f"{hint}The trials have reported: {', '.join(map(repr, known))}."

    # -- tables ---------------------------------------------------------------------------------

    @property
    def results_df(self) -> pandas.DataFrame:
        """Last results, one row each, by trial id."""
        frame = self._frame(self.trials, [trial.last_result for trial in self.trials])
        return frame.set_index("trial_id", drop=False) if len(frame) else frame

    @property
    def trial_dataframes(self) -> dict[str, pandas.DataFrame | None]:
        """{trial id: all its results}."""
        return {trial.trial_id: results_dataframe(trial.path) for trial in self.trials}

    def dataframe(self, metric: str | None = None, mode: str | None = None) -> pandas.DataFrame:
        """One row per trial that has results.

        Args:
            metric: Takes the row with the best value of this metric; None takes the last row.
            mode: ``"min"`` or ``"max"``; needed with a metric.

        Raises:
            ValueError: for a mode without a metric, a metric without a mode, or another mode.
            ExtraMissingError: if pandas is not installed.
        """
        check_mode(mode)
        if (metric is None) != (mode is None):
            raise ValueError(
                f"metric and mode go together, but got metric={metric!r} and mode={mode!r}."
            )
        trials, rows = [], []
        for trial in self.trials:
            row = trial.last_result if metric is None else _best_row(trial, metric, str(mode))
            if row and trial.metric_stats:
                trials.append(trial)
                rows.append(row)
        return self._frame(trials, rows)

    def get_all_configs(self, prefix: bool = False) -> dict[str, dict[str, Any]]:
        """{trial id: config}; with ``prefix``, flat and with ``config/`` before each key."""
        if not prefix:
            return {trial.trial_id: trial.config for trial in self.trials}
        return {
            trial.trial_id: flatten_dict({CONFIG_PREFIX: trial.config}) for trial in self.trials
        }

    def _frame(self, trials: Sequence[Trial], rows: Sequence[dict[str, Any]]) -> Any:
        pandas = import_pandas("A table of trials")
        flat_rows = []
        for trial, row in zip(trials, rows, strict=True):
            without_config = {key: value for key, value in row.items() if key != CONFIG_PREFIX}
            flat = flatten_dict({**without_config, CONFIG_PREFIX: trial.config})
            flat_rows.append({**flat, "logdir": trial.trial_id})
        return pandas.DataFrame(flat_rows)

    def _metric_and_mode(self, metric: str | None, mode: str | None) -> tuple[str, str]:
        metric, mode = metric or self.default_metric, check_mode(mode) or self.default_mode
        if metric is None or mode is None:
            missing = "metric" if metric is None else "mode"
            raise ValueError(
                f"{missing} is not known: pass it here, or name metric and mode in TuneConfig. "
                f"{self.explain_metric(metric or '')}"
            )
        return metric, mode


def check_mode(mode: str | None) -> str | None:
    """Returns the mode if it is one, or None.

    Raises:
        ValueError: if it is not.
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
    return mode


def _directory_of(path: str | os.PathLike[str] | None) -> str:
    if path is None:
        return ""
    text = os.path.abspath(os.path.expanduser(os.fspath(path)))
    return os.path.dirname(text) if os.path.isfile(text) else text


def _load_trials(path: str) -> list[Trial]:
    if not path:
        raise ValueError("ExperimentAnalysis needs the directory of an experiment, or its trials.")
    from localtune.storage.experiment_db import load_trials

    return load_trials(path)


def _best_row(trial: Trial, metric: str, mode: str) -> dict[str, Any] | None:
    from localtune.storage.history import iter_results

    sign = 1 if mode == "max" else -1
    best, best_value = None, -math.inf
    for row in iter_results(trial.path):
        value = lookup(row, metric)
        if isinstance(value, (int, float)) and (best is None or sign * value > best_value):
            best, best_value = row, sign * value
    return best
