"""What a run that is taken up again finds in its directory: trials, states, the seed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from localtune.callback import CallbackError, CallbackList
from localtune.clock import Clock
from localtune.controller.kept_state import dump, load
from localtune.controller.loop import error_of_callback
from localtune.error import StorageError
from localtune.result import CONFIG_PREFIX
from localtune.run_config import ResumeConfig
from localtune.run_options import RunOptions
from localtune.schedulers import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.storage import history
from localtune.storage.checkpoints import remove_leftovers
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reading import results_ahead
from localtune.storage.trial_record import take_result

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial
    from localtune.stopper.stopper import Stopper


def kept_seed(db: ExperimentDB, options: RunOptions, seed: int) -> int:
    """The seed of a run: when it is taken up again, that of before."""
    kept = db.get("seed") if options.resume is not None else None
    if kept is None:
        db.put("seed", seed)
        return seed
    return int(kept)


def trials_to_resume(
    db: ExperimentDB, resume: ResumeConfig | None, searcher: SearchAlgorithm, clock: Clock
) -> list[Trial]:
    """The trials of the experiment as they go on; a run that begins anew has none."""
    if resume is None:
        db.begin_run(clock.time())
        return []
    state = db.get("searcher")
    if state is not None:
        searcher.set_state(state)
    trials = db.load()
    if not db.get("ended_well"):
        for trial in trials:
            _mend(db, trial)
    for trial in trials:
        _revive(trial, resume, searcher)
    return trials


def _mend(db: ExperimentDB, trial: Trial) -> None:
    """Brings the files of a trial and its record together, which a crash may have left apart."""
    if not trial.dirname or not os.path.isdir(trial.path):
        return
    if not trial.is_finished():
        for result in results_ahead(trial):
            take_result(trial, result)
            db.add_result(trial, trial.result_count, result)
    remove_leftovers(trial.path, [each.checkpoint.path for each in trial.checkpoints])
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") == "1":
        return
    point = trial.resume_point
    kept_count = point.result_count if point is not None else 0
    count = trial.result_count if trial.is_finished() else kept_count
    config = {CONFIG_PREFIX: trial.config}
    results = [{**result, **config} for result in db.results(trial.trial_id)]
    history.restore_lost(trial.path, results[:count])


def restore_scheduler(db: ExperimentDB, trials: list[Trial], scheduler: TrialScheduler) -> None:
    """Brings the scheduler to where it was."""
    state = db.get("scheduler")
    if state is not None:
        scheduler.set_state(_loaded(state, trials, "scheduler"))


def resumed_stopper(
    db: ExperimentDB, trials: list[Trial], given: Stopper, options: RunOptions
) -> Stopper:
    """The stop conditions: as far as they were, if a resumed run is given the same ones again."""
    if not given.has_state:
        return given
    try:
        as_given = dump(given)
    except Exception:
        return given  # Whoever keeps its state says so.
    state = db.get("stopper") if options.resume is not None else None
    if state is not None and db.get("stopper_as_given") == as_given:
        return cast("Stopper", _loaded(state, trials, "stop conditions"))
    db.put("stopper_as_given", as_given)
    return given


def _loaded(state: bytes, trials: list[Trial], whose: str) -> Any:
    try:
        return load(state, trials)
    except Exception as error:
        raise StorageError(
            f"The state of the {whose} cannot be read: {type(error).__name__}: {error}. Make what "
            "it is made of importable."
        ) from error


def restore_callbacks(callbacks: CallbackList, db: ExperimentDB) -> None:
    """Brings the callbacks to where they were."""
    states = db.get("callbacks")
    if states is None:
        return
    try:
        callbacks.set_state(states)
    except CallbackError as error:
        raise error_of_callback(error) from error.__cause__


def _revive(trial: Trial, resume: ResumeConfig, searcher: SearchAlgorithm) -> None:
    from localtune.experiment.checkpoint_history import CheckpointHistory
    from localtune.experiment.status import Status

    if trial.cut_short is not None:
        # It would have gone on, had the run not ended.
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
