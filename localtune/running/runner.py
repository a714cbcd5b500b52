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
from localtune.progress_reporter import create_output
from localtune.running.build import (
    all_callbacks,
    check_options,
    check_resources,
    goal_of,
    in_background,
    make_executor,
    make_scheduler,
    make_searcher,
    make_settings,
)
from localtune.running.experiment import Experiment
from localtune.running.options import RunOptions
from localtune.running.resume import (
    Found,
    connect_histories,
    renew,
    restore_callbacks,
    restore_scheduler,
    resumed_stopper,
)
from localtune.running.signals import signals_handled
from localtune.running.storage import RunStorage
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import searcher_name
from localtune.storage.reading import mark_interrupted
from localtune.trainable.parameters import dumps_with_parameters
from localtune.trial.task_error import opened_error
from localtune.utils.standard_fds import standard_fds_taken

if TYPE_CHECKING:
    from localtune.progress_reporter.output import Output
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial


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

    Whatever is refused, is refused before the experiment's directory is changed.

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
    check_resources(experiment, executor.capacity())
    program = dumps_with_parameters(experiment.trainable)
    clock = executor.clock
    started = clock.monotonic()
    with RunStorage(experiment, options) as storage, contextlib.ExitStack() as stack:
        searcher, stop_searching = in_background(searcher, executor)
        stack.callback(stop_searching)
        earlier = storage.earlier
        found = Found(earlier, options.resume, searcher)
        trials = found.trials
        if earlier is not None:
            restore_scheduler(earlier, trials, scheduler)
            renew(trials, experiment, scheduler, earlier.get("constants", dict) or {})
            seed = int(earlier.get("seed", int) or seed)
        stopper, notes = resumed_stopper(earlier, trials, experiment.stopper)
        notes |= {"seed": seed, "ended_well": False}
        settings = make_settings(experiment, options, scheduler, seed)
        state = ControllerState(settings, searcher, scheduler, stopper, executor.capacity(), clock)
        state.adopt(trials)
        # What is decided first may show that nothing of it can be carried out.
        first = state.advance()
        if state.error is not None:
            raise state.error
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
            live=executor.abilities.live_view,
        )
        callbacks = CallbackList(all_callbacks(options.callbacks, output))
        if earlier is not None:
            restore_callbacks(callbacks, earlier)
        kept = KeptState(searcher, scheduler, stopper, callbacks)
        loop: ExperimentLoop | None = None
        try:
            with _executor_open(executor, program, output):
                _set_up(callbacks, experiment, searcher)
                db = storage.begin(found, notes, (metric, mode), clock.time())
                connect_histories(callbacks, db, found.to_mend)
                loop = ExperimentLoop(
                    *(state, executor, kept, callbacks, db, output, clock),
                    storage.remove_checkpoint,
                )
                with signals_handled(loop) as end_signals:
                    loop.run(first)
        finally:
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


def _set_up(callbacks: CallbackList, experiment: Experiment, searcher: SearchAlgorithm) -> None:
    try:
        callbacks.call(
            "setup",
            stop=experiment.stopping_criterion,
            num_samples=experiment.num_samples,
            total_num_samples=searcher.total_samples,
            time_budget_s=experiment.time_budget_s,
        )
    except CallbackError as error:
        raise error_of_callback(error) from error.__cause__


def _end(
    callbacks: CallbackList,
    state: ControllerState,
    output: Output,
    loop: ExperimentLoop | None,
    elapsed_s: float,
) -> None:
    try:
        # A run that has not begun has no trials, whatever was meant to be one.
        callbacks.end(state.trials if loop is not None else [])
    except CallbackError as error:
        if state.error is None:
            state.error = error_of_callback(error)
    if loop is not None:
        output.summary(state.trials, interrupted=loop.was_interrupted, elapsed_s=elapsed_s)


@contextlib.contextmanager
def _executor_open(executor: Executor, program: bytes, output: Output) -> Iterator[None]:
    executor.open(program, output.worker_output if output.wants_worker_output else None)
    try:
        yield
    finally:
        executor.close()
