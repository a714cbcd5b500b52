"""Resuming: the trials, the states and the seed of an earlier run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from localtune.callback import CallbackError, CallbackList
from localtune.config.resume import ResumeConfig
from localtune.config.spec import RunSpec
from localtune.controller.kept_state import dump, load
from localtune.controller.notices import error_of_callback
from localtune.error import StorageError
from localtune.logger.history_logger import HistoryLogger
from localtune.result import CONFIG_PREFIX
from localtune.running.build import RunParts
from localtune.running.derive import resources_function
from localtune.schedulers import TrialScheduler
from localtune.search.renewal import with_new_space
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.histories import recorded_history
from localtune.storage.reader import ExperimentReader
from localtune.storage.reading import results_ahead
from localtune.storage.trial_files import TrialFiles
from localtune.storage.trial_record import take_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localtune.stopper.base import Stopper
    from localtune.trial.trial import Trial


def take_up(
    spec: RunSpec, parts: RunParts, db: ExperimentReader | None, resume: ResumeConfig | None
) -> Found:
    """Restores the state of a run's parts and loads its trials; writes nothing.

    Args:
        spec: The specification of the run.
        parts: The parts of the run, which are changed.
        db: The record of the earlier run; None for a new run.
        resume: Which trials go on.

    Raises:
        StorageError: if the experiment is damaged, or names code that cannot be imported.
        TuneError: if resources are requested twice.
    """
    found = Found(db, resume, parts.searcher)
    if db is not None:
        restore_scheduler(db, found.trials, parts.scheduler)
        renew(found.trials, spec, parts.scheduler, db.get("constants", dict) or {})
        parts.seed = int(db.get("seed", int) or parts.seed)
    parts.stopper, notes = resumed_stopper(db, found.trials, parts.stopper)
    found.notes = {**notes, "seed": parts.seed, "ended_well": False}
    return found


class Found:
    """The trials of an earlier run, with which a run goes on.

    Nothing is written before :meth:`mend`.

    Args:
        db: The record of the earlier run; None for a new run, which has no trials yet.
        resume: Which trials go on.
        searcher: Its state is restored.

    Attributes:
        trials: The trials, in the order of their creation.
        to_mend: Trials whose histories may be damaged, or behind the record, after a crash.
        notes: {key: value} that the run stores with its state.
    """

    def __init__(
        self,
        db: ExperimentReader | None = None,
        resume: ResumeConfig | None = None,
        searcher: SearchAlgorithm | None = None,
    ) -> None:
        self.trials: list[Trial] = []
        self.to_mend: list[Trial] = []
        self.notes: dict[str, Any] = {}
        self._torn: list[_Torn] = []
        if db is None or resume is None or searcher is None:
            return
        self.trials = db.load()
        state = db.get("searcher")
        if state is None and self.trials:
            # A new searcher would propose the same trials again.
            raise db.damaged("it has trials, and nothing of the searcher that proposed them")
        if state is not None:
            if searcher.archive is not None:
                searcher.archive.read = db.get
            try:
                searcher.set_state(state)
            except Exception as error:
                raise _unreadable("searcher", error) from error
        if not db.get("ended_well"):
            torn = [each for each in self.trials if TrialFiles().exists(each)]
            self._torn = [_Torn(each) for each in torn]
            # The directory of a trial that has not started must stay empty.
            self.to_mend = [each for each in torn if each.start_time is not None]
        for trial in self.trials:
            _revive(trial, resume, searcher)

    def mend(self, db: ExperimentDB, files: TrialFiles) -> None:
        """Makes the files of the trials and their records agree.

        Args:
            db: Gets the results that only the files have.
            files: The directories of the trials.
        """
        for torn in self._torn:
            torn.mend(db, files)


class _Torn:
    """A trial whose files and record may disagree after a crash."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._config = trial.config
        self._ahead: list[tuple[int, dict[str, Any]]] = []
        if not trial.is_finished():
            for result in results_ahead(trial):
                take_result(trial, result)
                self._ahead.append((trial.result_count, result))
        # As recorded: whether the trial goes on is decided afterwards.
        self._checkpoints = [each.checkpoint.path for each in trial.checkpoints]

    def mend(self, db: ExperimentDB, files: TrialFiles) -> None:
        trial = self._trial
        for number, result in self._ahead:
            # The file has the config as text only.
            db.add_result(trial, number, {**result, CONFIG_PREFIX: self._config})
        files.remove_leftovers(trial, self._checkpoints)
        for path in self._checkpoints:
            files.note_recorded(path)


def renew(
    trials: list[Trial],
    spec: RunSpec,
    scheduler: TrialScheduler,
    before: Mapping[str, Any],
) -> None:
    """Gives trials that go on the constants, objects and resources of a new specification.

    Values that were drawn for a trial, or changed by a scheduler, stay.

    Args:
        trials: The trials of the run that is taken up.
        spec: The new specification.
        scheduler: The scheduler of the run.
        before: :func:`~localtune.search.renewal.plain_constants` of the earlier search space.

    Raises:
        TuneError: if resources are asked for twice.
    """
    resources_of = resources_function(spec)
    for trial in trials:
        if trial.is_finished():
            continue
        config = with_new_space(trial.config, spec.param_space, trial.evaluated_params, before)
        trial.set_config(config)
        if not scheduler.changes_resources:
            trial.update_resources(resources_of(config))


def connect_histories(callbacks: CallbackList, db: ExperimentDB, to_mend: list[Trial]) -> None:
    """Connects the loggers that write histories with the record.

    Args:
        callbacks: The callbacks, loggers included.
        db: The record.
        to_mend: Trials whose histories may be damaged, or behind the record, after a crash.
    """
    for each in callbacks.callbacks:
        if isinstance(each, HistoryLogger):
            each.connect(partial(recorded_history, db))
            for trial in to_mend:
                each.mend(trial)


def restore_scheduler(db: ExperimentReader, trials: list[Trial], scheduler: TrialScheduler) -> None:
    """Restores the state of the scheduler.

    Args:
        db: Has the state.
        trials: The trials that the state refers to.
        scheduler: The scheduler, set up already.

    Raises:
        StorageError: if the state cannot be read.
    """
    state = db.get("scheduler")
    if state is not None:
        loaded = _loaded(state, trials, "scheduler")
        try:
            scheduler.set_state(loaded)
        except Exception as error:
            raise _unreadable("scheduler", error) from error


def resumed_stopper(
    db: ExperimentReader | None, trials: list[Trial], given: Stopper
) -> tuple[Stopper, dict[str, Any]]:
    """Returns the stop conditions, with their state if a resumed run gets the same ones again.

    Args:
        db: The record of the earlier run; None for a new run.
        trials: The trials of the run.
        given: The stop conditions of the run, without a state.

    Returns:
        The stop conditions, and {key: value} to store with the state of the run.
    """
    if not given.has_state:
        return given, {}
    try:
        as_given = dump(given)
    except Exception:
        return given, {}  # A warning follows when its state is kept.
    state = db.get("stopper") if db is not None else None
    if db is not None and state is not None and db.get("stopper_as_given") == as_given:
        return cast("Stopper", _loaded(state, trials, "stop conditions")), {}
    return given, {"stopper_as_given": as_given}


def _loaded(state: bytes, trials: list[Trial], whose: str) -> Any:
    try:
        return load(state, trials)
    except Exception as error:
        raise _unreadable(whose, error) from error


def _unreadable(whose: str, error: Exception) -> StorageError:
    return StorageError(
        f"The state of the {whose} cannot be read: {type(error).__name__}: {error}. Make what it "
        "is made of importable; if it is damaged, put back a copy of the experiment."
    )


def restore_callbacks(callbacks: CallbackList, db: ExperimentReader) -> None:
    """Restores the states of the callbacks.

    Args:
        callbacks: The callbacks.
        db: Has the states.
    """
    states = db.get("callbacks", list)
    if states is None:
        return
    try:
        callbacks.set_state(states)
    except CallbackError as error:
        raise error_of_callback(error) from error.__cause__


def _revive(trial: Trial, resume: ResumeConfig, searcher: SearchAlgorithm) -> None:
    from localtune.trial.checkpoint_history import CheckpointHistory
    from localtune.trial.status import Status

    if trial.cut_short is not None:
        # It was stopped only because the run ended.
        trial.status, trial.cut_short = trial.cut_short, None
    if trial.status is Status.TERMINATED:
        wanted = resume.finished
    elif trial.status is Status.ERROR:
        wanted = resume.errored
    else:
        wanted = resume.unfinished
        if wanted is ResumeConfig.ResumeType.SKIP:
            trial.status = Status.TERMINATED
            searcher.on_trial_complete(trial.trial_id)
    if wanted is ResumeConfig.ResumeType.SKIP:
        return
    # A paused trial waits for its scheduler; the others would have gone on.
    is_paused = trial.status is Status.PAUSED and wanted is ResumeConfig.ResumeType.RESUME
    trial.status = Status.PAUSED if is_paused else Status.PENDING
    trial.error = None
    if wanted is ResumeConfig.ResumeType.RESTART:
        trial.checkpoints = CheckpointHistory(trial.checkpoint_config)
        if trial.is_cloned:
            trial.start_point = None
        trial.last_result = {}
        trial.metric_stats = {}
        trial.num_failures = 0
