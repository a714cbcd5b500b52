"""ExperimentLoop: waits for workers, feeds the state machine, carries out what it wants."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

from localtune.callback import CallbackError, CallbackList
from localtune.clock import Clock
from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.controller.kept_state import KeptState
from localtune.controller.recorder import Recorder
from localtune.controller.trial_errors import error_of_fault, is_of_the_run, warning_of
from localtune.error import StorageError, TrialError, TuneError, WorkerStartError
from localtune.execution.executor import Executor
from localtune.result import CONFIG_PREFIX, EXPR_ERROR_FILE, TRIAL_SEED_VARIABLE
from localtune.storage import failures
from localtune.storage.checkpoints import find_damage, remove_leftovers
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.paths import make_trial_dir
from localtune.trial.checkpoint_dirs import remove_checkpoint
from localtune.trial.metric_analysis import metric_stats_of
from localtune.trial.own_files import prepare_logs
from localtune.trial.task_error import run_error
from localtune.trial.trial import Trial
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger
from localtune.utils.text import text_of
from localtune.worker import messages

logger = get_logger(__name__)

# How often somebody who watches gets a fresh picture while nothing happens.
HEARTBEAT_S = 0.25

# How long running trials have to write a checkpoint when the run is told to end: less than the
# ten seconds after which container runtimes kill.
END_GRACE_S = 7.0


class Output(Protocol):
    """What shows the run to a person."""

    def tick(self) -> None:
        """Called every now and then, also when nothing happens."""

    def warn(self, message: str) -> None:
        """Tells the user something."""


class ExperimentLoop:
    """Runs an experiment to its end.

    Args:
        state: Decides.
        executor: Runs workers; must be open.
        kept: What decides, to be kept with the experiment.
        callbacks: Told what happens.
        db: Keeps the state.
        output: Shows it.
        clock: For time stamps.
        remove_checkpoint: Removes the directory of a checkpoint that is on record no more.
    """

    def __init__(
        self,
        state: Controller,
        executor: Executor,
        kept: KeptState,
        callbacks: CallbackList,
        db: ExperimentDB,
        output: Output,
        clock: Clock,
        remove_checkpoint: Callable[[str], None] = remove_checkpoint,
    ) -> None:
        self._state = state
        self._remove_checkpoint = remove_checkpoint
        self._executor = executor
        abilities = executor.abilities
        self._recorder = Recorder(
            *(db, kept, clock),
            results_may_wait=abilities.runs_in_parallel,
            real_time=abilities.real_time,
        )
        self._callbacks = callbacks
        self._db = db
        self._output = output
        self._clock = clock
        self._iteration = 0
        # Others have been created for the run that begins, and are on no record yet.
        self._resumed = {each.trial_id for each in state.trials if db.knows(each.trial_id)}
        self._interrupt_asked = False
        self._end_asked = False
        self._unstartable: dict[str, TrialError] = {}  # {trial id: why it cannot start}
        self._failing: set[str] = set()  # ids of trials whose failure is being carried out
        self.was_interrupted = False

    def run(self, first: Sequence[instructions.Instruction] = ()) -> None:
        """Runs until all is done, interrupted, or failed.

        Args:
            first: What the state machine has decided before the run began.

        Raises:
            KeyboardInterrupt: if interrupted for the second time; workers are killed.
        """
        try:
            self._run(first)
        except BaseException:
            self._recorder.rescue_results()
            raise

    def _run(self, first: Sequence[instructions.Instruction]) -> None:
        state = self._state
        self._carry_out(list(first))
        while True:
            self._notify_step("on_step_begin")
            self._serve_signals()
            self._carry_out(state.advance())
            if state.is_done:
                self._save_all()
                state.close()
                return
            for event in self._executor.wait(self._timeout_s()):
                # Together: what an event ends and what may start now is one transaction.
                self._carry_out([*state.handle(event), *state.advance()])
            self._iteration += 1
            self._notify_step("on_step_end")
            self._output.tick()

    def _serve_signals(self) -> None:
        """Ends the run as it was asked to: at once, or after checkpoints were written."""
        if self._interrupt_asked:
            self._interrupt_asked = False
            if not self._state.is_ending:
                self.was_interrupted = True
                self._output.warn(
                    "Interrupted: running steps may finish, within limits. Press Ctrl-C again to "
                    "end now."
                )
                self._carry_out(self._state.interrupt())
        elif self._end_asked:
            self._end_asked = False
            if not self._state.is_ending:
                self.was_interrupted = True
                self._output.warn(
                    "Told to end: running trials are checkpointed first, for "
                    f"{END_GRACE_S:g} s at most."
                )
                self._carry_out(self._state.wind_down(END_GRACE_S))

    def interrupt(self) -> None:
        """Asks the loop to end in good order. For other threads and signal handlers."""
        self._interrupt_asked = True
        self._executor.wake()

    def end(self) -> None:
        """Asks the loop to checkpoint what runs and to end. For signal handlers."""
        self._end_asked = True
        self._executor.wake()

    def _timeout_s(self) -> float | None:
        if self._state.has_work:
            return 0.0
        seconds_left = self._state.seconds_left()
        if not self._executor.abilities.real_time:
            return seconds_left  # virtual time jumps: no person watches it pass
        limits = (HEARTBEAT_S, seconds_left, self._recorder.seconds_left())
        return min(limit for limit in limits if limit is not None)

    # -- carrying out ---------------------------------------------------------------------------

    def _carry_out(self, wanted: list[instructions.Instruction]) -> None:
        for number, instruction in enumerate(wanted):
            try:
                self._carry_out_one(instruction)
            except Exception as fault:
                self._take_in_fault(fault, instruction, wanted[number + 1 :])
        try:
            self._recorder.write()
        except CallbackError as error:
            self._abort_by(error)
        except StorageError as error:
            self._abort(error, error.__cause__)

    def _take_in_fault(
        self,
        fault: Exception,
        instruction: instructions.Instruction,
        later: list[instructions.Instruction],
    ) -> None:
        """What went wrong on behalf of one trial fails that trial; all else ends the run.

        Args:
            fault: What was raised.
            instruction: While this was carried out.
            later: What comes after it.
        """
        trial = self._trial_of(instruction)
        cause = fault.__cause__ if isinstance(fault, CallbackError) else fault
        assert cause is not None
        is_of_trial = not isinstance(fault, CallbackError) or fault.fails_only_its_trial
        if trial is not None and is_of_trial and not is_of_the_run(cause, trial.experiment_path):
            what = _what_failed(instruction, fault)
            self._fail(trial, error_of_fault(cause, trial, what), later)
        elif isinstance(fault, CallbackError):
            self._abort_by(fault)
        elif isinstance(fault, OSError):
            self._abort(fault if isinstance(fault, TuneError) else _storage_error(fault), fault)
        else:
            raise fault

    def _trial_of(self, instruction: instructions.Instruction) -> Trial | None:
        if isinstance(instruction, instructions.Send):
            return self._state.trial_of(instruction.worker_id)
        trial = getattr(instruction, "trial", None)
        return trial if isinstance(trial, Trial) else None

    def _fail(self, trial: Trial, error: TrialError, later: list[instructions.Instruction]) -> None:
        if any(isinstance(each, _STARTS) and each.trial is trial for each in later):
            # Its worker is counted, but does not exist yet: it ends where it would be started.
            self._unstartable[trial.trial_id] = error
        elif trial.trial_id in self._failing:
            # Even its failure could not be taken in as it should.
            self._output.warn(warning_of(error, trial))
        else:
            self._failing.add(trial.trial_id)
            self._carry_out(self._state.fail_trial(trial, error))
            self._failing.discard(trial.trial_id)

    def _abort_by(self, error: CallbackError) -> None:
        self._abort(error_of_callback(error), error.__cause__)

    def _abort(self, error: BaseException, cause: BaseException | None) -> None:
        error.__cause__ = cause if cause is not error else error.__cause__
        if self._state.error is None:
            self._carry_out(self._state.abort(error))

    def _carry_out_one(self, instruction: instructions.Instruction) -> None:
        if isinstance(
            instruction, (instructions.Send, instructions.StartWorker, instructions.ResetWorker)
        ):
            self._command(instruction)
        elif isinstance(instruction, instructions.Notify):
            self._notify(instruction)
        elif isinstance(instruction, instructions.Record):
            self._recorder.add_result(instruction.trial, instruction.number, instruction.result)
        elif isinstance(instruction, instructions.Persist):
            self._persist(instruction)
        elif isinstance(instruction, instructions.PrepareTrial):
            self._prepare(instruction)
        elif isinstance(instruction, instructions.StopWorker):
            self._executor.stop_worker(
                instruction.worker_id, instruction.reason, force=instruction.force
            )
        elif isinstance(instruction, instructions.TidyTrial):
            self._tidy(instruction.trial)
        elif isinstance(instruction, instructions.WriteError):
            self._write_error(instruction.trial)
        elif isinstance(instruction, instructions.DeleteCheckpoint):
            # The record without it must be safe before the directory goes.
            self._recorder.write()
            self._delete(instruction.tracked.checkpoint.path)
        elif isinstance(instruction, instructions.Warn):
            self._output.warn(instruction.message)

    def _command(
        self, instruction: instructions.Send | instructions.StartWorker | instructions.ResetWorker
    ) -> None:
        if self._state.is_ending:
            # Something earlier in the same batch ended the run, and with it all workers.
            if isinstance(instruction, instructions.StartWorker):
                self._carry_out(self._state.forget_worker(instruction.worker_id))
        elif isinstance(instruction, instructions.Send):
            # Something earlier in the same batch may have failed its trial.
            if self._state.trial_of(instruction.worker_id) is not None:
                self._executor.send(instruction.worker_id, instruction.command)
        elif error := self._unstartable.pop(instruction.trial.trial_id, None):
            self._carry_out(self._state.fail_start(instruction.worker_id, error))
        elif isinstance(instruction, instructions.StartWorker):
            self._start_worker(instruction)
        else:
            self._reset_worker(instruction)

    def _persist(self, instruction: instructions.Persist) -> None:
        trial = instruction.trial
        if self._recorder.is_new(trial):
            try:
                _pickled_config(trial)
            except UnpicklableConfigError as error:
                self._abort(error, error.__cause__)
                return
        self._recorder.persist(trial)

    def _prepare(self, instruction: instructions.PrepareTrial) -> None:
        trial = instruction.trial
        if instruction.is_first:
            is_resumed = trial.trial_id in self._resumed
            if self._recorder.is_waiting(trial) and not is_resumed:
                # A crash must not leave a directory of which there is no record.
                self._recorder.write()
            trial.dirname = make_trial_dir(
                trial.experiment_path, trial.dirname, is_resumed=is_resumed
            )
            prepare_logs(trial)
            return
        os.makedirs(trial.path, exist_ok=True)
        prepare_logs(trial)
        is_known = instruction.is_known
        while (point := trial.resume_point) is not None:
            tracked = point.tracked
            damage = find_damage(tracked.checkpoint.path, tracked.files)
            if not damage:
                break
            self._state.drop_resume_point(trial)
            is_known = False
            self._output.warn(
                f"{trial}: the checkpoint {tracked.checkpoint.path} is damaged ({damage}); it goes "
                "on from the one before, or from scratch if there is none."
            )
        if not is_known:
            self._remove_leftovers(trial)
        if is_known:
            return
        self._db.cut_results(trial, trial.result_count)
        self._db.save(())
        config = {CONFIG_PREFIX: trial.config}
        trial.metric_stats = metric_stats_of(
            flatten_dict({**result, **config}) for result in self._db.results(trial.trial_id)
        )

    def _start_worker(self, instruction: instructions.StartWorker) -> None:
        try:
            assignment = _assignment(instruction.trial, instruction.environment)
            command = messages.Construct(assignment)
            self._executor.start_worker(instruction.worker_id, command, instruction.cpus)
        except (WorkerStartError, UnpicklableConfigError) as error:
            self._carry_out(self._state.fail_start(instruction.worker_id, error))

    def _reset_worker(self, instruction: instructions.ResetWorker) -> None:
        try:
            assignment = _assignment(instruction.trial, instruction.environment)
        except UnpicklableConfigError as error:
            self._carry_out(self._state.fail_start(instruction.worker_id, error))
            return
        self._executor.send(instruction.worker_id, messages.Reset(assignment))

    def _notify(self, instruction: instructions.Notify) -> None:
        self._callbacks.call(
            instruction.hook,
            iteration=self._iteration,
            trials=self._state.trials,
            trial=instruction.trial,
            **instruction.extra,
        )

    def _notify_step(self, hook: str) -> None:
        if not self._callbacks.wants(hook):
            return
        try:
            self._callbacks.call(hook, iteration=self._iteration, trials=self._state.trials)
        except CallbackError as error:
            self._abort_by(error)

    def _write_error(self, trial: Trial) -> None:
        error = trial.kept_error
        assert error is not None
        try:
            failures.write_error(trial, trial.num_failures, self._clock.time(), error)
        except Exception as fault:
            if is_of_the_run(fault, trial.experiment_path):
                raise
            # It has failed already, and the database knows why.
            self._output.warn(
                f"{trial} has failed, and its {EXPR_ERROR_FILE} cannot be written "
                f"({text_of(fault)}): see Result.error, or `localtune show`."
            )

    def _tidy(self, trial: Trial) -> None:
        try:
            self._remove_leftovers(trial)
        except FileNotFoundError:
            pass  # The trial itself may have removed its directory.
        except OSError as error:
            logger.warning("What %s left half-written cannot be removed: %s", trial, error)

    def _remove_leftovers(self, trial: Trial) -> None:
        # What was just saved may not be on record yet, and what may go still be.
        paths = [each.checkpoint.path for each in trial.checkpoints]
        remove_leftovers(trial.path, [*paths, *self._db.checkpoint_paths(trial)])

    def _delete(self, path: str) -> None:
        try:
            self._remove_checkpoint(path)
        except OSError as error:
            logger.warning("The checkpoint %s cannot be removed: %s", path, error)

    def _save_all(self) -> None:
        """Writes what may have waited, because the run is over."""
        try:
            self._recorder.write_all()
        except CallbackError as error:
            self._abort_by(error)
        except StorageError as error:
            self._abort(error, error.__cause__)


_STARTS = (instructions.StartWorker, instructions.ResetWorker)


def _what_failed(instruction: instructions.Instruction, fault: Exception) -> str:
    if isinstance(fault, CallbackError):
        return f"{fault.place} raised an exception"
    if isinstance(instruction, instructions.PrepareTrial):
        return "its directory could not be prepared"
    if isinstance(instruction, _STARTS):
        return "its worker could not be started"
    return f"the run could not carry out {type(instruction).__name__} for it"


class UnpicklableConfigError(TrialError):
    """A configuration that cannot be sent to a worker."""


def _assignment(trial: Trial, environment: dict[str, str | None]) -> messages.Assignment:
    return messages.Assignment(
        trial=TrialInfo(
            trial_id=trial.trial_id,
            trial_name=str(trial),
            experiment_name=trial.experiment_dir_name,
            trial_dir=trial.path,
            experiment_dir=trial.experiment_path,
            resources=trial.placement_group_factory,
            seed=trial.try_seed,
        ),
        config=_pickled_config(trial),
        storage=StorageContext(trial.experiment_path, trial.path, trial.next_checkpoint_index),
        log_to_file=trial.log_to_file,
        environment={**environment, TRIAL_SEED_VARIABLE: str(trial.try_seed)},
    )


def _pickled_config(trial: Trial) -> bytes:
    from localtune.utils.serialization import dumps

    try:
        return dumps(trial.config, f"The config of trial {trial}")
    except TypeError as error:
        raise UnpicklableConfigError(str(error)) from error


def _storage_error(error: OSError) -> StorageError:
    return StorageError(
        f"The experiment's directory cannot be written: {error}. "
        "Make room or rights there and resume the run."
    )


def error_of_callback(error: CallbackError) -> TuneError:
    """The error that ends a run because a hook raised: names the hook, shows its traceback."""
    import traceback

    cause = error.__cause__
    assert cause is not None
    text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    return run_error(cause, f"{error}\n\n{text}")
