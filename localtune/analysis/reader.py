"""Reads saved experiments for programs: running, half-written and empty ones, too.

::

    path -- read_saved --> SavedExperiment     the trials of one run, and its state
            read_or_explain                    the same; an error becomes its ``problem``
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from localtune.config.spec import RunSpec
from localtune.error import StorageError, UntrustedDirectoryError, UsageError
from localtune.result import TUNER_FILE
from localtune.storage.histories import histories
from localtune.storage.owner import Owner as Owner
from localtune.storage.owner import find_owner as find_owner
from localtune.storage.reader import RunRecord, has_database
from localtune.storage.reading import others_text, read_experiment
from localtune.storage.reading import read_files as read_files
from localtune.storage.run_files import files_in
from localtune.trial.status import Status
from localtune.utils.text import count, did_you_mean
from localtune.utils.trust import check_trusted

if TYPE_CHECKING:
    from localtune.analysis.experiment_analysis import ExperimentAnalysis
    from localtune.config.tune import TuneConfig
    from localtune.trial.trial import Trial


class ExperimentState(str, Enum):
    """The state of an experiment.

    EMPTY has no trials yet. INTERRUPTED has unfinished trials, and no process works on it.
    """

    EMPTY = "empty"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"
    UNTRUSTED = "untrusted"
    UNREADABLE = "unreadable"


@dataclass
class SavedExperiment:
    """A run of an experiment, as it is saved.

    Attributes:
        path: Directory of the experiment.
        state: Its state.
        owner: The process that works on the run, None if there is none.
        trials: The trials of the run; only some of them if ``is_partial``.
        numbers: Their numbers in the run, from 0.
        is_partial: Whether ended trials that are not among the best were left out.
        recorded_counts: {status: number of all trials that have it}.
        run: Number of the run.
        runs: All runs, the latest last; empty if the experiment cannot be read.
        metric: Metric that the run optimises, None if it is not known.
        mode: ``"min"`` or ``"max"``, likewise.
        files: {name: content} of the files that the run was started with.
        tune_config: TuneConfig of its Tuner, None if it is not known.
        problem: Reason why the experiment cannot be read, "" if it can.
    """

    path: str
    state: ExperimentState
    owner: Owner | None = None
    trials: list[Trial] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    is_partial: bool = False
    recorded_counts: Mapping[str, int] = field(default_factory=dict)
    run: int = 1
    runs: list[RunRecord] = field(default_factory=lambda: [RunRecord(1)])
    metric: str | None = None
    mode: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    tune_config: TuneConfig | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """Name of its directory."""
        return os.path.basename(self.path)

    def others(self, how: str = "--run ") -> str:
        """Explains how to read other runs; returns "" if there are none."""
        return others_text(self.runs, self.run, how)

    def take_files(self, files: Mapping[str, bytes]) -> None:
        """Takes the files that the run was started with, and a goal that only they know."""
        self.files = files
        self.tune_config = tune_config_of(files)
        if self.tune_config is not None and (self.metric, self.mode) == (None, None):
            self.metric, self.mode = self.tune_config.metric, self.tune_config.mode

    def set_goal(self, metric: str | None, mode: str | None) -> None:
        """Compares trials by another metric or mode than those of the run.

        Args:
            metric: Flat name of the metric; None keeps that of the run.
            mode: ``"min"`` or ``"max"``; None keeps that of the run.

        Raises:
            UsageError: for a metric without a mode, if the run's mode belongs to another metric.
        """
        is_another = metric is not None and metric != self.metric and self.metric is not None
        # Of a name that no trial has reported, something else is to be said.
        if is_another and mode is None and self._is_reported(metric):
            raise UsageError(
                f"The metric {metric!r} needs a mode, min or max: that of the run, {self.mode!r}, "
                f"is meant for {self.metric!r}."
            )
        self.metric, self.mode = metric or self.metric, mode or self.mode

    def _is_reported(self, metric: str | None) -> bool:
        return metric is not None and any(each.stats_of(metric) is not None for each in self.trials)

    def histories(self) -> Iterator[tuple[Trial, list[dict[str, Any]]]]:
        """Yields each trial with all its results, the oldest first.

        Raises:
            StorageError: if the database cannot be read.
        """
        # The trials were read, so the caller trusts the experiment.
        return histories(self.trials, trust=True)

    def counts(self) -> dict[str, int]:
        """Returns {status: number of trials that have it}, without statuses that no trial has."""
        if self.is_partial:
            found = Counter(self.recorded_counts)
            if self.owner is None:
                found[Status.INTERRUPTED.value] = found.pop(Status.RUNNING.value, 0)
        else:
            found = Counter(trial.status.value for trial in self.trials)
        return {each.value: found[each.value] for each in Status if found[each.value]}

    def analysis(self) -> ExperimentAnalysis:
        """Returns an analysis of the trials."""
        from localtune.analysis.experiment_analysis import ExperimentAnalysis

        return ExperimentAnalysis(
            self.path, trials=self.trials, default_metric=self.metric, default_mode=self.mode
        )

    @property
    def trial_count(self) -> int:
        """Number of all trials of the run."""
        return sum(self.recorded_counts.values()) if self.is_partial else len(self.trials)

    def best(self) -> tuple[Trial, float] | None:
        """Returns the best trial and its value; None without a goal, or without a value."""
        if self.metric is None or self.mode is None:
            return None
        trial = self.analysis().find_best_trial(self.metric, self.mode, "last", True)
        if trial is None:
            return None
        stats = trial.stats_of(self.metric)
        return (trial, stats.value("last", self.mode)) if stats is not None else None


def read_saved(
    path: str, run: int | None = None, *, trust: bool = False, best: int | None = None
) -> SavedExperiment:
    """Reads an experiment.

    Args:
        path: Its directory.
        run: Number of the run that is read, from 1; None is the latest.
        trust: Read it though another user could have written it.
        best: How many ended trials are wanted, the best by the run's goal, besides the unfinished
            ones. None wants all; all are read also if the run's goal is not known.

    Raises:
        StorageError: if it cannot be read.
        UsageError: if there is no such run.
    """
    check_trusted(path, trust=trust)
    if not has_database(path):
        owner = find_owner(path)
        saved = SavedExperiment(path, _state_of([], owner), owner)
        if run not in (None, saved.run):
            raise UsageError(f"The experiment {path!r} has no run {run}: it has not begun yet.")
        saved.take_files(files_in(path, trust=trust))
        return saved
    found = read_experiment(path, run, trust=trust, best=best)
    owner = found.owner if found.is_running else None
    saved = SavedExperiment(
        path,
        _state_of(found.trials, owner, found.run.trial_count),
        owner,
        found.trials,
        found.numbers,
        is_partial=len(found.trials) < found.run.trial_count,
        recorded_counts=found.run.counts,
        run=found.run.number,
        runs=found.runs,
        metric=found.run.metric,
        mode=found.run.mode,
    )
    saved.take_files(found.files)
    return saved


def read_or_explain(
    path: str, run: int | None = None, *, trust: bool = False, best: int | None = None
) -> SavedExperiment:
    """Reads an experiment as :func:`read_saved` does; an error becomes its ``problem``.

    Args:
        path: Its directory.
        run: Number of the run that is read, from 1; None is the latest.
        trust: Read it though another user could have written it.
        best: See :func:`read_saved`.

    Raises:
        UsageError: if there is no such run.
    """
    try:
        return read_saved(path, run, trust=trust, best=best)
    except UntrustedDirectoryError as error:
        return SavedExperiment(path, ExperimentState.UNTRUSTED, problem=str(error))
    except (StorageError, OSError) as error:
        return SavedExperiment(path, ExperimentState.UNREADABLE, problem=str(error))


def find_trial(saved: SavedExperiment, text: str) -> Trial:
    """Finds the trial that a text names.

    Args:
        saved: The experiment.
        text: Id, number, name or directory of the trial, or the start of one of these.

    Raises:
        UsageError: if there is no such trial, or more than one.
    """
    wanted = os.path.basename(os.path.normpath(text))
    names = {trial.trial_id: (trial.trial_id, str(trial), trial.dirname) for trial in saved.trials}
    exact = [trial for trial in saved.trials if wanted in names[trial.trial_id]]
    if exact:
        return exact[0]
    # In the order in which they were made, as `show` counts them.
    if wanted.isdecimal() and int(wanted) < len(saved.trials):
        return saved.trials[int(wanted)]
    begun = [
        trial
        for trial in saved.trials
        if any(name.startswith(wanted) for name in names[trial.trial_id] if name)
    ]
    if len(begun) == 1:
        return begun[0]
    if begun:
        ids = ", ".join(trial.trial_id for trial in begun[:5])
        raise UsageError(
            f"{text!r} is the start of {count(len(begun), 'trial')}: {ids}. Write more of it."
        )
    hint = did_you_mean(wanted, [trial.trial_id for trial in saved.trials])
    raise UsageError(
        f"There is no trial {text!r} in {saved.path!r}, which has "
        f"{count(len(saved.trials), 'trial')}.{hint}"
    )


def _state_of(trials: list[Trial], owner: Owner | None, count: int = 0) -> ExperimentState:
    if owner is not None:
        return ExperimentState.RUNNING
    if not count:
        return ExperimentState.EMPTY
    if all(trial.is_finished() for trial in trials):
        return ExperimentState.DONE
    return ExperimentState.INTERRUPTED


def tune_config_of(files: Mapping[str, bytes]) -> TuneConfig | None:
    """Returns the TuneConfig of a run; None for a run without a Tuner, or if it cannot be loaded.

    Args:
        files: Files that the run was started with.
    """
    try:
        from localtune.config.checks import check_metric_and_mode

        config: TuneConfig = RunSpec.load_field(files[TUNER_FILE], "tune_config")
        # Of another version, it could lack them.
        check_metric_and_mode(config.metric, config.mode)
        return config
    except Exception:
        # Absent, torn, or with objects whose modules are not here.
        return None
