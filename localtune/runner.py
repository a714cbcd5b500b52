"""Runs one experiment: puts the layers together, and takes them apart again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.callback import CallbackError, CallbackList
from localtune.controller.kept_state import KeptState
from localtune.controller.loop import ExperimentLoop, error_of_callback
from localtune.controller.state import ControllerState
from localtune.execution.executor import Executor
from localtune.experiment.checkpoint_dirs import remove_checkpoint
from localtune.experiment.task_error import opened_error
from localtune.experiment_spec import Experiment
from localtune.progress_reporter import create_output
from localtune.resuming import (
    kept_seed,
    restore_callbacks,
    restore_scheduler,
    resumed_stopper,
    trials_to_resume,
)
from localtune.run_options import RunOptions
from localtune.run_parts import (
    all_callbacks,
    check_options,
    goal_of,
    in_background,
    make_executor,
    make_scheduler,
    make_searcher,
    make_settings,
)
from localtune.run_signals import signals_handled
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import searcher_name
from localtune.storage.experiment_db import ExperimentDB, has_database
from localtune.storage.locks import experiment_locked
from localtune.storage.paths import make_experiment_dir
from localtune.storage.reading import mark_interrupted
from localtune.trainable.parameters import dumps_with_parameters
from localtune.utils.standard_fds import standard_fds_taken
from localtune.utils.trust import check_trusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from localtune.experiment.trial import Trial
    from localtune.progress_reporter.output import Output


@dataclass
class RunOutcome:
    """How a run ended.

    Attributes:
        trials: All trials of the run.
        was_interrupted: Whether the user ended it early.
    """

    trials: list[Trial]
    was_interrupted: bool


@standard_fds_taken()
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
    name_of_search = searcher_name(searcher)
    metric, mode = goal_of(options, scheduler, searcher)
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
        searcher, stop_searching = in_background(searcher, executor)
        trials = trials_to_resume(db, options.resume, searcher, clock)
        db.start_work(metric, mode)
        db.put("ended_well", False)
        if options.resume is not None:
            restore_scheduler(db, trials, scheduler)
        stopper = resumed_stopper(db, trials, experiment.stopper, options)
        settings = make_settings(experiment, options, scheduler, kept_seed(db, options, seed))
        state = ControllerState(settings, searcher, scheduler, stopper, executor.capacity(), clock)
        state.adopt(trials)
        db.save(trials)
        output = create_output(
            verbose=options.verbose,
            metric=metric,
            mode=mode,
            total_samples=searcher.total_samples,
            experiment_path=experiment.path,
            reporter=options.progress_reporter,
            resources=executor.capacity().resources,
            max_iterations=scheduler.max_iterations,
            searcher_name=name_of_search,
            scheduler_name=scheduler.debug_string(),
            live=executor.isolates_crashes,
        )
        callbacks = CallbackList(all_callbacks(options.callbacks, output))
        if options.resume is not None:
            restore_callbacks(callbacks, db)
        kept = KeptState(searcher, scheduler, stopper, callbacks)
        loop = ExperimentLoop(
            state, executor, kept, callbacks, db, output, clock, remove_checkpoint
        )
        program = dumps_with_parameters(experiment.trainable)
        try:
            with _executor_open(executor, program, output), signals_handled(loop) as end_signals:
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
            raise opened_error(state.error) or state.error
        if state.is_stopper_spent:
            # A run that is taken up again goes on: its stop conditions begin anew.
            db.put("stopper", None)
        db.put("ended_well", True)
        if end_signals:
            # As a program that ends by itself when it is told to.
            raise SystemExit(128 + end_signals[0])
        mark_interrupted(state.trials)
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


@contextlib.contextmanager
def _synced(experiment: Experiment) -> Iterator[Callable[[str], None]]:
    """Uploads what the run writes, if it has remote storage; yields how to remove a checkpoint."""
    remote = experiment.remote
    if remote is None:
        yield remove_checkpoint
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
