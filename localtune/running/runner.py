"""Runs one experiment, from the building of its parts to its outcome.

build        searcher, scheduler, executor       nothing is read or written
  |
take up      lock; trials and states that the run goes on with
  |
decide       the first instructions              all can still be refused
  |
carry out    executor opens; storage begins; the loop runs to its end
  |
conclude     errors and signals are raised; the outcome
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from localtune.callback import CallbackError, CallbackList
from localtune.controller.controller import Controller
from localtune.controller.kept_state import KeptState
from localtune.controller.loop import ExperimentLoop
from localtune.controller.notices import RunNotices, error_of_callback
from localtune.controller.ports import Ports
from localtune.controller.recorder import Recorder
from localtune.execution.executor import Executor
from localtune.progress_reporter import create_output
from localtune.progress_reporter.facts import RunFacts
from localtune.registry import get_trainable_cls
from localtune.running.build import (
    RunParts,
    all_callbacks,
    build,
    check_resources,
    in_background,
    make_executor,
)
from localtune.running.derive import make_settings
from localtune.running.resume import Found, connect_histories, restore_callbacks, take_up
from localtune.running.signals import signals_handled
from localtune.running.storage import RunStorage
from localtune.storage.reading import mark_interrupted
from localtune.trainable.imports import Import, find_imports
from localtune.trial.task_error import opened_error
from localtune.utils.log import set_verbosity
from localtune.utils.standard_fds import standard_fds_taken
from localtune.worker.program import WorkerProgram

if TYPE_CHECKING:
    from localtune.config.spec import RunSpec
    from localtune.controller.instructions import Instruction
    from localtune.progress_reporter.output import Output
    from localtune.progress_reporter.reporter import ProgressReporter
    from localtune.running.directory import ExperimentDirectory
    from localtune.storage.experiment_db import ExperimentDB
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
def run_experiment(
    spec: RunSpec, directory: ExperimentDirectory, executor: Executor | str | None = None
) -> RunOutcome:
    """Runs an experiment to its end.

    All checks are made before the experiment's directory is changed.

    Args:
        spec: The specification of the run.
        directory: The directory of the experiment.
        executor: See :class:`~localtune.Tuner`.

    Returns:
        Its trials; failed trials are among them.

    Raises:
        TuneError: if the run itself failed, or a trial did with ``fail_fast="raise"``.
        ValueError: for parts of the specification that do not go together.
    """
    parts = build(spec)
    executor = make_executor(executor)
    check_resources(spec, executor)
    trainable = get_trainable_cls(spec.trainable_name)._for_metric(parts.metric)
    program = WorkerProgram(trainable)
    imports = find_imports(trainable) if executor.abilities.own_processes else []
    started = executor.clock.monotonic()
    by_workers = executor.abilities.uploads_checkpoints
    with RunStorage(spec, directory, by_workers=by_workers) as storage, _searching(parts, executor):
        found = take_up(spec, parts, storage.earlier, directory.resume)
        settings = make_settings(spec, directory.path, parts.scheduler, parts.seed)
        controller = Controller(
            settings,
            parts.searcher,
            parts.scheduler,
            parts.stopper,
            executor,
            executor.clock,
        )
        output = _output_of(spec, directory, parts, executor)
        callbacks = CallbackList(all_callbacks(spec.run_config.callbacks, output))
        if storage.earlier is not None:
            restore_callbacks(callbacks, storage.earlier)
        run = _Run(
            spec, directory, parts, executor, controller, callbacks, output, started, imports
        )
        db = run.carry_out(program, storage, found)
        return run.conclude(db)


@contextlib.contextmanager
def _searching(parts: RunParts, executor: Executor) -> Iterator[None]:
    parts.searcher, stop_searching = in_background(parts.searcher, executor)
    try:
        yield
    finally:
        stop_searching()


def _output_of(
    spec: RunSpec, directory: ExperimentDirectory, parts: RunParts, executor: Executor
) -> Output:
    facts = RunFacts(
        directory.path,
        metric=parts.metric,
        mode=parts.mode,
        total_samples=parts.searcher.total_samples,
        resources=executor.resources(),
        max_iterations=parts.scheduler.max_iterations,
        searcher_name=parts.searcher_name,
        scheduler_name=parts.scheduler.debug_string(),
    )
    verbose = int(spec.run_config.verbose or 0)
    set_verbosity(verbose)
    return create_output(
        verbose,
        facts,
        reporter=cast("ProgressReporter | None", spec.run_config.progress_reporter),
        live=executor.abilities.live_view,
    )


@dataclass
class _Run:
    """A run from its first instruction to its end."""

    spec: RunSpec
    directory: ExperimentDirectory
    parts: RunParts
    executor: Executor
    controller: Controller
    callbacks: CallbackList
    output: Output
    started: float
    imports: list[Import]
    loop: ExperimentLoop | None = None
    end_signals: list[int] = field(default_factory=list)

    def carry_out(self, program: WorkerProgram, storage: RunStorage, found: Found) -> ExperimentDB:
        """Carries out the controller's instructions until the run has ended.

        Args:
            program: The trainable, for the workers.
            storage: The storage of the run, not begun yet.
            found: The trials that the run goes on with.

        Returns:
            The database that has the state of the run.
        """
        parts, clock = self.parts, self.executor.clock
        kept = KeptState(parts.searcher, parts.scheduler, parts.stopper, self.callbacks)
        is_accepted = False
        try:
            with self._executor_open(program):
                first = self._first_decisions(found)
                is_accepted = True
                self._set_up_callbacks()
                db = storage.begin(found, (parts.metric, parts.mode), clock.time())
                connect_histories(self.callbacks, db, found.to_mend)
                abilities = self.executor.abilities
                records = Recorder(
                    *(db, kept, clock, found.trials),
                    results_may_wait=abilities.runs_in_parallel,
                    real_time=abilities.real_time,
                )
                notices = RunNotices(self.callbacks, self.output)
                ports = Ports(records, notices, storage.files, self.executor)
                self.loop = ExperimentLoop(self.controller, ports)
                with signals_handled(self.loop) as self.end_signals:
                    self.loop.run(first)
        finally:
            if is_accepted:
                self._end_output()
        return db

    def _first_decisions(self, found: Found) -> list[Instruction]:
        """Returns the first instructions. Nothing has been written when it raises.

        Raises:
            TuneError: if the run cannot be carried out.
        """
        self.controller.adopt(found.trials)
        first = self.controller.advance()
        if self.controller.error is not None:
            raise self.controller.error
        return first

    def conclude(self, db: ExperimentDB) -> RunOutcome:
        """Notes how the run ended.

        Args:
            db: The database that has its state.

        Raises:
            TuneError: if the run failed.
            SystemExit: if a signal ended it.
        """
        controller = self.controller
        assert self.loop is not None
        if controller.error is not None:
            raise opened_error(controller.error) or controller.error
        if controller.is_stopper_spent:
            # A run that is taken up again starts with new stop conditions.
            db.put("stopper", None)
        db.put("ended_well", True)
        if self.end_signals:
            # The exit code of a program that a signal has ended.
            raise SystemExit(128 + self.end_signals[0])
        mark_interrupted(controller.trials)
        return RunOutcome(controller.trials, self.loop.was_interrupted)

    @contextlib.contextmanager
    def _executor_open(self, program: WorkerProgram) -> Iterator[None]:
        output = self.output
        self.executor.use_directory(
            self.directory.path, self.directory.remote, self.spec.sync_config
        )
        self.executor.expect_imports(self.imports)
        self.executor.open(program, output.worker_output if output.wants_worker_output else None)
        try:
            yield
        finally:
            self.executor.close()

    def _set_up_callbacks(self) -> None:
        try:
            self.callbacks.call(
                "setup", **self.spec.public, total_num_samples=self.parts.searcher.total_samples
            )
        except CallbackError as error:
            raise error_of_callback(error) from error.__cause__

    def _end_output(self) -> None:
        controller, loop = self.controller, self.loop
        try:
            # Before the loop begins, no trial is on record.
            self.callbacks.end(controller.trials if loop is not None else [])
        except CallbackError as error:
            controller.abort(error_of_callback(error))
        if loop is not None:
            elapsed_s = self.executor.clock.monotonic() - self.started
            self.output.summary(
                controller.trials, interrupted=loop.was_interrupted, elapsed_s=elapsed_s
            )
