"""Runs one experiment: puts the layers together, and takes them apart again."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from localtune.callback import Callback, CallbackError, CallbackList
from localtune.clock import SystemClock
from localtune.controller.background_search import BackgroundSearch
from localtune.controller.kept_state import KeptState, dump, load
from localtune.controller.limits import Limits
from localtune.controller.loop import ExperimentLoop, error_of_callback
from localtune.controller.settings import RunSettings
from localtune.controller.state import ControllerState
from localtune.error import StorageError, TuneError
from localtune.execution.executor import Executor
from localtune.experiment_spec import Experiment
from localtune.progress_reporter import create_output
from localtune.resources import resource_dict_to_pg_factory
from localtune.result import CONFIG_PREFIX, REPEAT_SEED_VARIABLE
from localtune.run_config import FailureConfig, ResumeConfig
from localtune.schedulers import FIFOScheduler, TrialScheduler, create_scheduler
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.search_generator import as_search_algorithm
from localtune.storage import history
from localtune.storage.checkpoints import remove_leftovers
from localtune.storage.experiment_db import ExperimentDB, has_database
from localtune.storage.locks import experiment_locked
from localtune.storage.paths import make_experiment_dir
from localtune.storage.trust import check_trusted
from localtune.trainable.parameters import dumps_with_parameters
from localtune.tune_config import check_metric_and_mode
from localtune.utils.files import remove_tree
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from collections.abc import Callable

    from localtune.experiment.trial import Trial
    from localtune.progress_reporter.output import Output
    from localtune.resources import PlacementGroupFactory
    from localtune.stopper.stopper import Stopper
    from localtune.trainable.trainable import Trainable

# Trials of a space that costs nothing to sample may wait in numbers: schedulers that fill groups
# see more of them.
_LOOKAHEAD = 200


@dataclass
class RunOptions:
    """What a run needs beside its experiment.

    Attributes:
        metric: Metric to optimise, None for none.
        mode: ``"min"``, ``"max"`` or None.
        search_alg: None samples the search space.
        scheduler: None runs each trial to its end.
        max_concurrent_trials: None or 0 is what resources allow.
        reuse_actors: Whether workers serve one trial after the other.
        fail_fast: False, True, or ``"raise"``.
        limits: Of time and of failures.
        callbacks: The user's callbacks.
        verbose: See :class:`~localtune.RunConfig`.
        progress_reporter: The user's, in place of the built-in output.
        executor: None is a process per trial.
        seed: What everything drawn at random depends on; None draws one.
        resume: How to go on with the experiment that is in the directory; None starts anew.
        trust: Whether to read the directory though another user could have written it.
    """

    metric: str | None = None
    mode: str | None = None
    search_alg: Any = None
    scheduler: Any = None
    max_concurrent_trials: int | None = None
    reuse_actors: bool = False
    fail_fast: bool | str = False
    limits: Limits = field(default_factory=Limits)
    callbacks: Sequence[Callback] = field(default_factory=list)
    verbose: int = 1
    progress_reporter: Any = None
    executor: Executor | str | None = None
    seed: int | None = None
    resume: ResumeConfig | None = None
    trust: bool = False


@dataclass
class RunOutcome:
    """How a run ended.

    Attributes:
        trials: All trials of the session.
        was_interrupted: Whether the user ended it early.
    """

    trials: list[Trial]
    was_interrupted: bool


def run_experiment(experiment: Experiment, options: RunOptions) -> RunOutcome:
    """Runs an experiment to its end.

    Args:
        experiment: What to run.
        options: How to run it.

    Returns:
        Its trials; failed trials are among them.

    Raises:
        TuneError: if the run itself failed, or a trial did with ``fail_fast="raise"``.
        ValueError: for options that make no sense.
    """
    check_options(options)
    searcher = make_searcher(options, experiment)
    seed = derive_seed(options.seed)
    scheduler = make_scheduler(options, experiment, searcher, seed)
    executor = make_executor(options.executor)
    clock = executor.clock
    started = clock.monotonic()
    make_experiment_dir(experiment.path)
    check_trusted(experiment.path, trust=options.trust or not has_database(experiment.path))
    with (
        experiment_locked(experiment.path),
        contextlib.closing(ExperimentDB(experiment.path)) as db,
        _synced(experiment) as remove_checkpoint,
    ):
        searcher, stop_searching = _in_background(searcher, executor)
        trials = _trials_to_resume(db, options.resume, searcher)
        db.put("ended_well", False)
        if options.resume is not None:
            _restore_scheduler(db, trials, scheduler)
        stopper = _stopper(db, trials, experiment.stopper, options)
        settings = make_settings(experiment, options, scheduler, _kept_seed(db, options, seed))
        state = ControllerState(settings, searcher, scheduler, stopper, executor.capacity(), clock)
        state.adopt(trials)
        db.save(trials)
        output = create_output(
            verbose=options.verbose,
            metric=options.metric,
            mode=options.mode,
            total_samples=searcher.total_samples,
            experiment_path=experiment.path,
            reporter=options.progress_reporter,
            resources=executor.capacity().resources,
            max_iterations=scheduler.max_iterations,
            searcher_name=type(searcher).__name__,
            scheduler_name=scheduler.debug_string(),
            live=executor.isolates_crashes,
        )
        callbacks = CallbackList(_all_callbacks(options.callbacks, output))
        if options.resume is not None:
            _restore_callbacks(callbacks, db)
        kept = KeptState(searcher, scheduler, stopper, callbacks)
        loop = ExperimentLoop(
            state, executor, kept, callbacks, db, output, clock, remove_checkpoint
        )
        program = dumps_with_parameters(experiment.trainable)
        try:
            with _executor_open(executor, program, output), _signals_handled(loop) as end_signals:
                loop.setup(
                    stop=experiment.stopping_criterion,
                    num_samples=experiment.num_samples,
                    total_num_samples=searcher.total_samples,
                    time_budget_s=experiment.time_budget_s,
                )
                if state.error is None:
                    loop.run()
        finally:
            stop_searching()
            _end(callbacks, state, output, loop, clock.monotonic() - started)
        if state.error is not None:
            raise state.error
        db.put("ended_well", True)
        if end_signals:
            # As a program that ends by itself when it is told to.
            raise SystemExit(128 + end_signals[0])
        return RunOutcome(state.trials, loop.was_interrupted)


def _end(
    callbacks: CallbackList,
    state: ControllerState,
    output: Output,
    loop: ExperimentLoop,
    elapsed_s: float,
) -> None:
    try:
        callbacks.end(state.trials)
    except CallbackError as error:
        if state.error is None:
            state.error = error_of_callback(error)
    output.summary(state.trials, interrupted=loop.was_interrupted, elapsed_s=elapsed_s)


def check_options(options: RunOptions) -> None:
    """Raises ValueError for what can be known to be wrong before anything is written."""
    check_metric_and_mode(options.metric, options.mode)
    check_max_concurrent(options.max_concurrent_trials)
    check_callbacks(options.callbacks)
    as_search_algorithm(options.search_alg, options.max_concurrent_trials)
    _as_scheduler(options.scheduler)
    if options.executor != "inprocess":
        make_executor(options.executor)


# -- the parts ----------------------------------------------------------------------------------


def make_executor(executor: Executor | str | None) -> Executor:
    """The executor that an ``executor=`` argument means.

    Raises:
        ValueError: if it means none.
    """
    if executor is None:
        from localtune.execution.local_process import ProcessExecutor

        return ProcessExecutor()
    if executor == "inprocess":
        from localtune.execution.in_process import InProcessExecutor

        return InProcessExecutor()
    if isinstance(executor, Executor):
        return executor
    raise ValueError(
        "executor must be None (processes), 'inprocess', or an Executor such as "
        f"ProcessExecutor(...), but got {executor!r}."
    )


def make_searcher(options: RunOptions, experiment: Experiment) -> SearchAlgorithm:
    """The search algorithm of a run, ready for its first suggestion.

    Raises:
        ValueError: for a search space or an algorithm that cannot be used.
    """
    searcher = as_search_algorithm(options.search_alg, options.max_concurrent_trials)
    spec = experiment.public_spec
    if options.seed is not None:
        spec["seed"] = options.seed
    if not searcher.set_search_properties(options.metric, options.mode, experiment.config, **spec):
        raise ValueError(
            f"metric and mode are given twice: to TuneConfig ({options.metric!r}, "
            f"{options.mode!r}) and to {type(searcher).__name__}. Give them to one."
        )
    searcher.setup(experiment.config, experiment.num_samples)
    return searcher


def make_scheduler(
    options: RunOptions, experiment: Experiment, searcher: SearchAlgorithm, seed: int
) -> TrialScheduler:
    """The scheduler of a run.

    Raises:
        ValueError: if it is none, if metric and mode are given to it and to the run, or if it
            cannot work with the search space or the searcher.
    """
    scheduler = _as_scheduler(options.scheduler)
    spec = {**experiment.public_spec, "seed": seed}
    if not scheduler.set_search_properties(options.metric, options.mode, **spec):
        raise ValueError(
            f"metric and mode are given twice: to TuneConfig ({options.metric!r}, "
            f"{options.mode!r}) and to {type(scheduler).__name__}. Give them to one."
        )
    if scheduler.changes_resources and options.reuse_actors:
        raise ValueError(
            f"reuse_actors=True does not go with {type(scheduler).__name__}, which changes the "
            "resources of trials: a worker keeps those that it was started with."
        )
    scheduler.check_run(experiment.config, searcher)
    return scheduler


def _as_scheduler(scheduler: Any) -> TrialScheduler:
    if scheduler is None:
        return FIFOScheduler()
    if isinstance(scheduler, str):
        scheduler = create_scheduler(scheduler)
    if not isinstance(scheduler, TrialScheduler):
        hint = " Pass an instance, not the class." if isinstance(scheduler, type) else ""
        raise ValueError(
            f"scheduler must be None, a name, or a TrialScheduler, but got {scheduler!r}.{hint}"
        )
    return scheduler


def check_max_concurrent(limit: int | None) -> int:
    """``max_concurrent_trials`` as a number; 0 is no limit.

    Raises:
        ValueError: if it is negative or no whole number.
    """
    if limit is None:
        return 0
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ValueError(
            "max_concurrent_trials must be at least 1, or None or 0 for no limit, but got "
            f"{limit!r}."
        )
    return limit


def make_settings(
    experiment: Experiment, options: RunOptions, scheduler: TrialScheduler, seed: int
) -> RunSettings:
    """What the controller is told of a run, with all defaults resolved."""
    # A scheduler that clones trials changes their configs all the time: who can reset_config
    # need not be started again for that.
    own_methods = _own_methods(experiment.trainable)
    can_reset = "reset_config" in own_methods
    return RunSettings(
        trainable_name=experiment.run_identifier,
        experiment_path=experiment.path,
        resources_of=_resources_of(experiment),
        metric=options.metric,
        checkpoint_config=experiment.checkpoint_config,
        stopping_criterion=experiment.stopping_criterion,
        max_concurrent_trials=check_max_concurrent(options.max_concurrent_trials),
        time_budget_s=experiment.time_budget_s,
        max_failures=experiment.max_failures,
        fail_fast=bool(options.fail_fast),
        raise_first_error=options.fail_fast == "raise",
        limits=options.limits,
        can_save="save_checkpoint" in own_methods or not _is_class(experiment.trainable),
        reuse_workers=options.reuse_actors or (scheduler.clones_trials and can_reset),
        lookahead=_lookahead(experiment),
        log_to_file=experiment.log_to_file,
        export_formats=experiment.export_formats,
        restore_path=experiment.restore,
        trial_name_creator=experiment.trial_name_creator,
        trial_dirname_creator=experiment.trial_dirname_creator,
        date_text=date_str(),
        seed=seed,
        repeat_seed=_repeat_seed(),
    )


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


def _is_class(trainable: type[Trainable]) -> bool:
    """Whether it is a class of the user's, not a function in a class of localtune's."""
    from localtune.trainable.function_trainable import FunctionTrainable

    return not issubclass(trainable, FunctionTrainable)


def limits_of(config: FailureConfig) -> Limits:
    """What a FailureConfig says on time and on failures."""
    return Limits(
        config.iteration_timeout_s,
        config.trial_timeout_s,
        config.retry_wait_s,
        config.max_failed_trials,
    )


def _own_methods(trainable: type[Trainable]) -> set[str]:
    """Names that the user's classes define: those above localtune's own."""
    return {
        name
        for each in trainable.__mro__
        if not each.__module__.startswith("localtune.trainable")
        for name in vars(each)
    }


def _kept_seed(db: ExperimentDB, options: RunOptions, seed: int) -> int:
    """The seed of a run: when it is taken up again, that of before."""
    kept = db.get("seed") if options.resume is not None else None
    if kept is None:
        db.put("seed", seed)
        return seed
    return int(kept)


def _in_background(
    searcher: SearchAlgorithm, executor: Executor
) -> tuple[SearchAlgorithm, Callable[[], None]]:
    """Lets a search that learns think in a thread, where time is real; and how to end that."""
    if not searcher.learns or not isinstance(executor.clock, SystemClock):
        return searcher, lambda: None
    background = BackgroundSearch(searcher, executor.wake)
    return background, background.close


def _lookahead(experiment: Experiment) -> int:
    """How many trials may wait to run."""
    given = os.environ.get("TUNE_MAX_PENDING_TRIALS_PG")
    if given is not None:
        return int(given)
    # A run without end is ended by its time budget: what waits then has been made in vain.
    return 1 if experiment.num_samples == -1 else _LOOKAHEAD


def _resources_of(
    experiment: Experiment,
) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """How the request of a trial is found: the trainable's own, else the run's, else 1 CPU."""
    trainable = experiment.trainable
    of_run = resource_dict_to_pg_factory(experiment.resources_per_trial)

    def resources_of(config: dict[str, Any]) -> PlacementGroupFactory:
        request = trainable.default_resource_request(config)
        if request is None:
            return of_run
        if experiment.resources_per_trial is not None:
            raise TuneError(
                "Resources are asked for twice: by resources_per_trial "
                f"({experiment.resources_per_trial!r}) and by the trainable itself ({request!r}). "
                "Remove one."
            )
        return resource_dict_to_pg_factory(request)

    return resources_of


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Returns the callbacks if they are a list of such.

    Raises:
        ValueError: if they are not.
    """
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks must be a list of Callback objects, but got {callbacks!r}.")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = " Pass an instance, not the class." if isinstance(callback, type) else ""
            raise ValueError(
                f"callbacks must be a list of Callback objects, but it has {callback!r}.{hint}"
            )
    return list(callbacks)


def _all_callbacks(callbacks: Sequence[Callback], output: Callback) -> list[Callback]:
    """The user's callbacks, the output, and the loggers that the user did not pass."""
    from localtune.logger import CSVLoggerCallback, JsonLoggerCallback

    everyone = [*callbacks, output]
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") != "1":
        for logger_class in (CSVLoggerCallback, JsonLoggerCallback):
            if not any(isinstance(callback, logger_class) for callback in callbacks):
                everyone.append(logger_class())
    return everyone


# -- resuming -----------------------------------------------------------------------------------


def _trials_to_resume(
    db: ExperimentDB, resume: ResumeConfig | None, searcher: SearchAlgorithm
) -> list[Trial]:
    if resume is None:
        db.begin_session()
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
    """Brings the files of a trial, which a crash may have left as they were, to its record."""
    if not trial.dirname or not os.path.isdir(trial.path):
        return
    remove_leftovers(trial.path, [each.checkpoint.path for each in trial.checkpoints])
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") == "1":
        return
    point = trial.resume_point
    kept_count = point.result_count if point is not None else 0
    count = trial.result_count if trial.is_finished() else kept_count
    config = {CONFIG_PREFIX: trial.config}
    results = [{**result, **config} for result in db.results(trial.trial_id)]
    history.restore_lost(trial.path, results[:count])


def _restore_scheduler(db: ExperimentDB, trials: list[Trial], scheduler: TrialScheduler) -> None:
    state = db.get("scheduler")
    if state is not None:
        scheduler.set_state(_loaded(state, trials, "scheduler"))


def _stopper(db: ExperimentDB, trials: list[Trial], given: Stopper, options: RunOptions) -> Stopper:
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


def _restore_callbacks(callbacks: CallbackList, db: ExperimentDB) -> None:
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


# -- the surroundings of the loop -----------------------------------------------------------------


@contextlib.contextmanager
def _synced(experiment: Experiment) -> Iterator[Callable[[str], None]]:
    """Uploads what the run writes, if it has remote storage; yields how to remove a checkpoint."""
    remote = experiment.remote
    if remote is None:
        yield remove_tree
        return
    from localtune.storage.sync import ExperimentSync, SyncSettings

    config = experiment.sync_config
    settings = SyncSettings(config.sync_period, config.sync_artifacts)
    sync = ExperimentSync(experiment.path, remote, settings)
    sync.start()
    try:
        yield sync.remove_checkpoint
    finally:
        sync.close(config.sync_timeout)


@contextlib.contextmanager
def _executor_open(executor: Executor, program: bytes, output: Output) -> Iterator[None]:
    executor.open(program, output.worker_output if output.wants_worker_output else None)
    try:
        yield
    finally:
        executor.close()


@contextlib.contextmanager
def _signals_handled(loop: ExperimentLoop) -> Iterator[list[int]]:
    """Signals end the run in good order; a second Ctrl-C at once. In the main thread only.

    SIGTERM and SIGHUP, unless the program has said what they do, let running trials write a
    checkpoint first, and the second one does not wait for that. Yields a list to which they are
    added.
    """
    disabled = os.environ.get("TUNE_DISABLE_SIGINT_HANDLER") == "1"
    end_signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield end_signals
        return
    asked = False

    def on_end(signum: int, frame: object) -> None:
        end_signals.append(signum)
        if len(end_signals) == 1:
            loop.end()
        else:
            loop.interrupt()

    def on_signal(signum: int, frame: object) -> None:
        nonlocal asked
        if asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True
        loop.interrupt()

    names = [] if disabled else ["SIGINT"]
    names += ["SIGUSR1"]
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        # A shell starts its background jobs with Ctrl-C ignored: it is meant for others.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, on_signal)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, on_end)
    try:
        yield end_signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
