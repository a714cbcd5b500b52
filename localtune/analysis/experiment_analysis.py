"""ExperimentAnalysis: the trials of an experiment, and the best of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from localtune.analysis.metric_help import explain_no_best
from localtune.checkpoint import Checkpoint
from localtune.config.checks import check_metric_and_mode
from localtune.old_names import use as old
from localtune.old_names.attributes import OldAttribute
from localtune.old_names.by_trial import ByTrial
from localtune.result import (
    CONFIG_PREFIX,
    DEFAULT_METRIC,
    EXPERIMENT_DB_FILE,
    TRAINING_ITERATION,
    TRIAL_ID,
)
from localtune.storage.histories import histories
from localtune.storage.remote import attach_path, needs_store
from localtune.storage.shared_copy import DatabaseReader, reader_of
from localtune.trial.metric_analysis import SCOPES
from localtune.trial.pickled_object import opened_result
from localtune.trial.trial import Trial
from localtune.utils.best import best_of, is_number
from localtune.utils.data_frames import data_frame
from localtune.utils.dicts import flatten_dict, unflattened_lookup
from localtune.utils.messages import get_logger
from localtune.utils.remote_store import local_path

if TYPE_CHECKING:
    import pandas

    from localtune.trial.checkpoint_history import TrackedCheckpoint

logger = get_logger(__name__)

_LOGDIR = "logdir"
_OF_DIRECTORY = "analysis.get_best_checkpoint(directory)"


class ExperimentAnalysis:
    """The trials of an experiment.

    Args:
        experiment_checkpoint_path: Directory of the experiment, or a file in it; or its URI.
        storage_filesystem: See :class:`~localtune.RunConfig`.
        trials: Its trials; None reads them from the directory.
        default_metric: Flat name of the metric for methods that are called without one. None
            with a mode is the metric of trainables that report bare numbers.
        default_mode: ``"min"`` or ``"max"``, likewise.
        trust: Read the experiment though another user could have written it.
        run: Number of the run that is read, from 1; None is the latest. If there are others, a
            line in the log says so.

    Attributes:
        run: Number of the run; None if the trials were given.

    Raises:
        ValueError: for another mode, or if there is no experiment in the directory, or no such
            run.
        StorageError: if the experiment's state cannot be read.

    Example:
        >>> analysis = ExperimentAnalysis("~/localtune_results/sweep")  # doctest: +SKIP
        >>> analysis.get_best_config(metric="loss", mode="min")  # doctest: +SKIP
        {'lr': 0.01}
    """

    get_best_logdir = OldAttribute("ExperimentAnalysis.get_best_logdir")
    best_logdir = OldAttribute("ExperimentAnalysis.best_logdir")
    get_trial_checkpoints_paths = OldAttribute("ExperimentAnalysis.get_trial_checkpoints_paths")
    fetch_trial_dataframes = OldAttribute("ExperimentAnalysis.fetch_trial_dataframes")

    def __init__(
        self,
        experiment_checkpoint_path: str | os.PathLike[str] | None = None,
        *,
        storage_filesystem: Any = None,
        trials: Sequence[Trial] | None = None,
        default_metric: str | None = None,
        default_mode: str | None = None,
        trust: bool = False,
        run: int | None = None,
    ) -> None:
        check_metric_and_mode(default_metric, default_mode)
        if run is not None and (trials is not None or type(run) is not int):
            raise ValueError(
                "run must be the number of a run, from 1, and goes with a directory, but got "
                f"{run!r}{'' if trials is None else ' together with trials'}."
            )
        if default_metric is None and default_mode is not None:
            default_metric = DEFAULT_METRIC
        self.default_metric = default_metric
        self.default_mode = default_mode
        self._path = _directory_of(experiment_checkpoint_path, storage_filesystem)
        self.run: int | None = None
        # Held from the first reading of histories on: readers keep copies of the databases.
        self._readers: dict[str, DatabaseReader] = {}
        if trials is None:
            self.trials = self._read(run, trust)
        else:
            self.trials = list(trials)

    def _read(self, run: int | None, trust: bool) -> list[Trial]:
        from localtune.storage.reader import has_database
        from localtune.storage.reading import others_text, read_experiment

        path = self._path
        if not path:
            raise ValueError(
                "ExperimentAnalysis needs the directory of an experiment, or its trials."
            )
        if not has_database(path):
            raise ValueError(f"There is no experiment in {path!r}: it has no {EXPERIMENT_DB_FILE}.")
        found = read_experiment(path, run, trust=trust)
        self.run = found.run.number
        if run is None and len(found.runs) > 1:
            logger.warning("%s: %s", path, others_text(found.runs, self.run, "run="))
        return found.trials

    @property
    def experiment_path(self) -> str:
        """Directory of the experiment."""
        return self._path or (self.trials[0].experiment_path if self.trials else "")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """{trial id: its last result}."""
        return {trial.trial_id: opened_result(trial.last_result) for trial in self.trials}

    def get_all_configs(self, prefix: bool = False) -> dict[str, dict[str, Any]]:
        """Returns {trial id: config}; with ``prefix``, flat with ``config/`` before each key."""
        configs = {
            trial.trial_id: _flat_config(trial) if prefix else trial.config for trial in self.trials
        }
        return ByTrial(configs, self._ids())

    # -- the best trial -------------------------------------------------------------------------

    def get_best_trial(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Trial | None:
        """Returns the trial with the best value of a metric; of equal ones the first.

        Args:
            metric: Flat name of the metric; None is the default metric.
            mode: ``"min"`` or ``"max"``; None is the default mode.
            scope: Which value of each trial counts: ``"last"``, ``"all"`` (its best),
                ``"avg"``, ``"last-5-avg"`` or ``"last-10-avg"``.
            filter_nan_and_inf: Whether trials whose value is NaN or infinite are left out.

        Returns:
            The trial; None, and a warning, if no trial has a value.

        Raises:
            ValueError: without metric or mode, or for a mode or scope that does not exist.
        """
        metric, mode = self.metric_and_mode(metric, mode)
        best = self.find_best_trial(metric, mode, scope, filter_nan_and_inf)
        if best is None:
            logger.warning(explain_no_best(self.trials, metric, only_finite=filter_nan_and_inf))
        return best

    def get_best_config(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last"
    ) -> dict[str, Any] | None:
        """Returns the configuration of :meth:`get_best_trial`, None if there is none.

        Args:
            metric: See :meth:`get_best_trial`.
            mode: See :meth:`get_best_trial`.
            scope: See :meth:`get_best_trial`.
        """
        best = self.get_best_trial(metric, mode, scope)
        return best.config if best is not None else None

    def metric_and_mode(self, metric: str | None, mode: str | None) -> tuple[str, str]:
        """Completes metric and mode from the defaults.

        Args:
            metric: Flat name of the metric; None is the default metric.
            mode: ``"min"`` or ``"max"``; None is the default mode.

        Raises:
            ValueError: if one of them is missing, or the mode does not exist.
        """
        check_metric_and_mode(metric, mode)
        if metric not in (None, self.default_metric) and mode is None and self.default_metric:
            logger.warning(
                "The best %r is looked for with the mode of %r, %r: pass a mode with the metric.",
                metric,
                self.default_metric,
                self.default_mode,
            )
        metric = metric or self.default_metric
        mode = old.mode_alone(metric, mode or self.default_mode)
        if metric is None or mode is None:
            missing = "metric" if metric is None else "mode"
            raise ValueError(
                f"The {missing} is not known. Pass metric and mode to this method, or set both in "
                "TuneConfig."
            )
        return metric, mode

    def find_best_trial(
        self, metric: str, mode: str, scope: str, filter_nan_and_inf: bool
    ) -> Trial | None:
        """Finds the trial of :meth:`get_best_trial`, without defaults and without a warning.

        Args:
            metric: Flat name of the metric.
            mode: ``"min"`` or ``"max"``.
            scope: See :meth:`get_best_trial`.
            filter_nan_and_inf: See :meth:`get_best_trial`.
        """
        if scope not in SCOPES:
            raise ValueError(f"scope must be one of {', '.join(SCOPES)}, but got {scope!r}.")
        values = (
            (trial, stats.value(scope, mode))
            for trial in self.trials
            if (stats := trial.stats_of(metric)) is not None
        )
        if filter_nan_and_inf:
            values = ((trial, value) for trial, value in values if math.isfinite(value))
        return best_of(values, mode)

    # -- checkpoints ----------------------------------------------------------------------------

    def get_best_checkpoint(
        self, trial: Trial, metric: str | None = None, mode: str | None = None
    ) -> Checkpoint | None:
        """Returns the best checkpoint of a trial; of equal ones the oldest.

        Args:
            trial: The trial.
            metric: Name of the metric, nested keys joined by ``/``; None is the default metric. If
                there is no default metric either, the newest checkpoint is the best.
            mode: ``"min"`` or ``"max"``; None is the default mode.

        Returns:
            The checkpoint; None if none has a value.

        Raises:
            ValueError: for another mode, or a metric without a mode.
        """
        if metric is None and self.default_metric is None:
            metric, mode = TRAINING_ITERATION, mode or "max"
        metric, mode = self.metric_and_mode(metric, mode)
        if isinstance(trial, str):
            trial = old.translated(_OF_DIRECTORY, self.trials, trial)
        return _best_checkpoint(trial.known_checkpoints, metric, mode)

    def get_last_checkpoint(
        self, trial: Trial | None = None, metric: str = TRAINING_ITERATION, mode: str = "max"
    ) -> Checkpoint | None:
        """Returns the checkpoint of the highest iteration; of equal ones the newest.

        Args:
            trial: The trial. None is the best trial by metric and mode; with their defaults, it is
                the trial with the most iterations.
            metric: See ``trial``.
            mode: See ``trial``.

        Returns:
            The checkpoint; None if there is none.
        """
        trial = trial or self.get_best_trial(metric, mode)
        if trial is None:
            return None
        # A trial that was cloned at its end may have one of its own from that iteration, too.
        return _best_checkpoint(trial.known_checkpoints[::-1], TRAINING_ITERATION, "max")

    # -- the best by the defaults: ValueError without default metric and mode ---------------------

    @property
    def best_trial(self) -> Trial:
        """The best trial.

        Raises:
            ValueError: without a default metric or mode, or if no trial has a value.
        """
        metric, mode = self.metric_and_mode(None, None)
        best = self.find_best_trial(metric, mode, "last", filter_nan_and_inf=True)
        if best is None:
            raise ValueError(explain_no_best(self.trials, metric, only_finite=True))
        return best

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self.best_trial.config

    @property
    def best_result(self) -> dict[str, Any]:
        """Last result of the best trial."""
        return opened_result(self.best_trial.last_result)

    @property
    def best_result_df(self) -> pandas.DataFrame:
        """Last result of the best trial as a table of one row."""
        return _last_results([self.best_trial])

    @property
    def best_dataframe(self) -> pandas.DataFrame:
        """All results of the best trial."""
        ((_, results),) = self._histories([self.best_trial])
        return data_frame(results)

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """Best checkpoint of the best trial, None if it has none."""
        return self.get_best_checkpoint(self.best_trial)

    # -- tables ---------------------------------------------------------------------------------

    @property
    def results_df(self) -> pandas.DataFrame:
        """Last results, one row per trial; the index is the trial's id."""
        return _last_results(self.trials)

    @property
    def trial_dataframes(self) -> dict[str, pandas.DataFrame]:
        """{trial id: all its results}."""
        tables = {
            trial.trial_id: data_frame(results) for trial, results in self._histories(self.trials)
        }
        return ByTrial(tables, self._ids())

    def _ids(self) -> dict[str, str]:
        """Returns {directory of a trial: its id}."""
        return {trial.path: trial.trial_id for trial in self.trials}

    def _histories(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, list[dict[str, Any]]]]:
        for path in {trial.experiment_path for trial in trials} - self._readers.keys():
            self._readers[path] = reader_of(path)
        # The trials were read, so the caller trusts the experiment.
        return histories(trials, trust=True)

    def dataframe(self, metric: str | None = None, mode: str | None = None) -> pandas.DataFrame:
        """Returns a table of one row per trial, with its config and its id as ``logdir``.

        Trials without results are left out.

        Args:
            metric: With a mode, takes the row with the best value of this metric; else the last
                row is taken.
            mode: ``"min"`` or ``"max"``; goes with a metric.

        Raises:
            ValueError: for a mode without a metric, or another mode.
            ExtraMissingError: if pandas is not installed.
        """
        check_metric_and_mode(metric, mode)
        if metric is not None and mode is not None:
            rows: Iterable[tuple[Trial, dict[str, Any] | None]] = (
                (trial, best_of(_values(results, metric), mode))
                for trial, results in self._histories(self.trials)
            )
        elif mode is None:
            rows = ((trial, trial.last_row() or None) for trial in self.trials)
        else:
            raise ValueError(f"mode goes with a metric, but got mode={mode!r} and no metric.")
        return data_frame(
            {**_flat_row(trial, row), _LOGDIR: trial.trial_id}
            for trial, row in rows
            if row is not None
        )


def _directory_of(path: str | os.PathLike[str] | None, filesystem: Any) -> str:
    if path is None:
        return ""
    if needs_store(path, filesystem):
        return attach_path(path, filesystem)
    text = os.path.abspath(local_path(path))
    return os.path.dirname(text) if os.path.isfile(text) else text


def _values(results: list[dict[str, Any]], metric: str) -> Iterator[tuple[dict[str, Any], float]]:
    for row in results:
        value = unflattened_lookup(metric, row, default=None)
        if is_number(value):
            yield row, value


def _flat_config(trial: Trial) -> dict[str, Any]:
    return flatten_dict({CONFIG_PREFIX: trial.config})


def _flat_row(trial: Trial, row: dict[str, Any]) -> dict[str, Any]:
    flat = flatten_dict(row)
    if CONFIG_PREFIX not in row:  # As in rows of progress.csv.
        flat.update(_flat_config(trial))
    return flat


def _last_results(trials: Sequence[Trial]) -> pandas.DataFrame:
    frame = data_frame({**trial.last_result, TRIAL_ID: trial.trial_id} for trial in trials)
    return frame.set_index(TRIAL_ID) if len(frame) else frame


def _best_checkpoint(
    checkpoints: Iterable[TrackedCheckpoint], metric: str, mode: str
) -> Checkpoint | None:
    """Returns the best checkpoint by a metric; of equal ones the first."""
    return best_of(
        (
            (tracked.checkpoint, value)
            for tracked in checkpoints
            if is_number(value := unflattened_lookup(metric, tracked.metrics, default=None))
        ),
        mode,
    )
