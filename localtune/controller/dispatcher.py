"""Dispatcher: carries out instructions through the ports of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from localtune.callback import CallbackError
from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.controller.notices import error_of_callback
from localtune.controller.ports import Ports
from localtune.controller.preparation import TrialPreparation
from localtune.controller.trial_errors import error_of_fault, is_of_the_run, warning_of
from localtune.error import StorageError, TrialError, TuneError, WorkerStartError
from localtune.result import EXPR_ERROR_FILE
from localtune.trial.trial import Trial
from localtune.utils.messages import get_logger
from localtune.utils.text import text_of
from localtune.worker import messages
from localtune.worker.assignment import UnpicklableConfigError, assignment_of

logger = get_logger(__name__)


class Dispatcher:
    """Carries out instructions, each by the method that a table names for its type.

    A fault on behalf of one trial fails that trial. Any other fault ends the run in good order.

    Args:
        controller: Gives the instructions, and is told of faults.
        ports: Through which they are carried out.

    Attributes:
        iteration: Number of the loop's turn; callbacks are told.
    """

    def __init__(self, controller: Controller, ports: Ports) -> None:
        self.iteration = 0
        self._controller = controller
        self._trials = controller.trials  # Grows while the run goes on.
        self._trial_of_worker = controller.record.trial_of
        self._records = ports.records
        self._notices = ports.notices
        self._files = ports.files
        self._executor = ports.executor
        self._may_train_at_once = not ports.notices.waits_for("on_trial_start")
        self._unstartable: dict[str, TrialError] = {}  # {trial id: why it cannot start}
        self._failing: set[str] = set()  # ids of trials whose failure is being carried out
        preparation = TrialPreparation(controller, ports)
        self._methods: dict[type[instructions.Instruction], Callable[[Any], None]] = {
            instructions.PrepareTrial: preparation.prepare,
            instructions.TidyTrial: lambda each: preparation.tidy(each.trial),
            instructions.StartWorker: self._start_worker,
            instructions.ResetWorker: self._reset_worker,
            instructions.Send: self._send,
            instructions.StopWorker: self._stop_worker,
            instructions.Notify: self._notify,
            instructions.Record: self._record,
            instructions.Persist: self._persist,
            instructions.WriteError: self._write_error,
            instructions.DeleteCheckpoint: self._delete_checkpoint,
            instructions.Warn: lambda each: self._notices.warn(each.message),
        }

    def carry_out(self, wanted: Sequence[instructions.Instruction]) -> None:
        """Carries out instructions in order."""
        for number, instruction in enumerate(wanted):
            try:
                self._methods[type(instruction)](instruction)
            except Exception as fault:
                self._take_in_fault(fault, instruction, wanted[number + 1 :])

    def write(self) -> None:
        """Writes everything that the instructions so far have put on record, if it is due."""
        try:
            self._records.write()
        except (CallbackError, StorageError) as error:
            self._end_run(error)

    def write_all(self) -> None:
        """Writes everything that may have waited, because the run is over."""
        try:
            self._records.write_all()
        except (CallbackError, StorageError) as error:
            self._end_run(error)

    def tell_turn(self, hook: str) -> None:
        """Tells that a turn of the loop begins, or has ended.

        Args:
            hook: ``"on_step_begin"`` or ``"on_step_end"``.
        """
        try:
            self._notices.notify(hook, iteration=self.iteration, trials=self._trials)
        except CallbackError as error:
            self._end_run(error)

    # -- faults -----------------------------------------------------------------------------------

    def _take_in_fault(
        self,
        fault: Exception,
        instruction: instructions.Instruction,
        later: Sequence[instructions.Instruction],
    ) -> None:
        """Fails the trial of an instruction that could not be carried out, or ends the run.

        Args:
            fault: The exception.
            instruction: The instruction that was being carried out.
            later: The instructions that follow it.
        """
        trial = self._trial_of(instruction)
        cause = fault.__cause__ if isinstance(fault, CallbackError) else fault
        assert cause is not None
        is_of_trial = not isinstance(fault, CallbackError) or fault.fails_only_its_trial
        if trial is not None and is_of_trial and not is_of_the_run(cause, trial.experiment_path):
            what = _what_failed(instruction, fault)
            self._fail(trial, error_of_fault(cause, trial, what), later)
        elif isinstance(fault, (CallbackError, StorageError)):
            self._end_run(fault)
        elif isinstance(fault, OSError):
            self._abort(fault if isinstance(fault, TuneError) else _storage_error(fault), fault)
        else:
            raise fault

    def _trial_of(self, instruction: instructions.Instruction) -> Trial | None:
        if isinstance(instruction, instructions.Send):
            return self._trial_of_worker(instruction.worker_id)
        trial = getattr(instruction, "trial", None)
        return trial if isinstance(trial, Trial) else None

    def _fail(
        self, trial: Trial, error: TrialError, later: Sequence[instructions.Instruction]
    ) -> None:
        if any(isinstance(each, _STARTS) and each.trial is trial for each in later):
            # Its worker is counted, but does not exist yet: it ends where it would be started.
            self._unstartable[trial.trial_id] = error
        elif trial.trial_id in self._failing:
            # Even its failure could not be taken in as it should.
            self._notices.warn(warning_of(error, trial))
        else:
            self._failing.add(trial.trial_id)
            self.carry_out(self._controller.fail_trial(trial, error))
            self._failing.discard(trial.trial_id)

    def _end_run(self, error: CallbackError | StorageError) -> None:
        told = error_of_callback(error) if isinstance(error, CallbackError) else error
        self._abort(told, error.__cause__)

    def _abort(self, error: BaseException, cause: BaseException | None) -> None:
        error.__cause__ = cause if cause is not error else error.__cause__
        if self._controller.error is None:
            self.carry_out(self._controller.abort(error))

    # -- workers ----------------------------------------------------------------------------------

    def _send(self, instruction: instructions.Send) -> None:
        # An earlier instruction of the same batch may have failed its trial, or ended the run.
        if self._trial_of_worker(instruction.worker_id) is not None:
            self._executor.send(instruction.worker_id, instruction.command)

    def _start_worker(self, instruction: instructions.StartWorker) -> None:
        if not self._may_start(instruction):
            return
        try:
            assignment = assignment_of(instruction.trial, instruction.slot.environment)
            command = messages.Construct(
                assignment,
                trains_at_once=self._may_train_at_once and instruction.trains_at_once,
                ends_with_function=instruction.ends_with_function,
            )
            self._executor.start_worker(instruction.worker_id, command, instruction.slot)
        except Exception as fault:
            self._fail_start(instruction, fault)

    def _fail_start(self, instruction: instructions.StartWorker, fault: Exception) -> None:
        """Takes in that a worker does not exist: its slot is free, whatever its trial leads to.

        Args:
            instruction: Was to start the worker.
            fault: The exception of the executor.

        Raises:
            Exception: the fault, if all other starts would meet it, too.
        """
        trial, worker_id = instruction.trial, instruction.worker_id
        if is_of_the_run(fault, trial.experiment_path):
            self.carry_out(self._controller.forget_worker(worker_id))
            raise fault
        if isinstance(fault, (WorkerStartError, UnpicklableConfigError)):
            error: TuneError = fault
        else:
            error = error_of_fault(fault, trial, _what_failed(instruction, fault))
        self.carry_out(self._controller.fail_start(worker_id, error))

    def _reset_worker(self, instruction: instructions.ResetWorker) -> None:
        if not self._may_start(instruction):
            return
        try:
            assignment = assignment_of(instruction.trial, instruction.slot.environment)
        except UnpicklableConfigError as error:
            self.carry_out(self._controller.fail_start(instruction.worker_id, error))
        else:
            at_once = self._may_train_at_once and instruction.trains_at_once
            command = messages.Reset(assignment, at_once)
            self._executor.send(instruction.worker_id, command)

    def _may_start(self, instruction: instructions.StartWorker | instructions.ResetWorker) -> bool:
        """Returns whether a worker starts; fails a trial whose preparation has failed.

        The failure of an earlier instruction of the same batch may have ended the run, or may
        have made the scheduler stop or pause the trial.
        """
        trial, worker_id = instruction.trial, instruction.worker_id
        error = self._unstartable.pop(trial.trial_id, None)
        if self._controller.trial_of(worker_id) is not trial:
            if isinstance(instruction, instructions.StartWorker):
                self.carry_out(self._controller.forget_worker(worker_id))
            return False
        if error is not None:
            self.carry_out(self._controller.fail_start(worker_id, error))
        return error is None

    def _stop_worker(self, instruction: instructions.StopWorker) -> None:
        self._executor.stop_worker(
            instruction.worker_id, instruction.reason, force=instruction.force
        )

    # -- records, notices, files ------------------------------------------------------------------

    def _notify(self, instruction: instructions.Notify) -> None:
        self._notices.notify(
            instruction.hook,
            iteration=self.iteration,
            trials=self._trials,
            trial=instruction.trial,
            **instruction.extra,
        )

    def _record(self, instruction: instructions.Record) -> None:
        trial = instruction.trial
        self._records.add_result(trial, instruction.number, instruction.result)
        self._notices.log(self.iteration, self._trials, trial, instruction.shown)

    def _persist(self, instruction: instructions.Persist) -> None:
        try:
            self._records.persist(instruction.trial)
        except UnpicklableConfigError as error:
            # The other trials of the search space would meet the same fault.
            self._abort(error, error.__cause__)

    def _write_error(self, instruction: instructions.WriteError) -> None:
        trial = instruction.trial
        try:
            self._files.write_error(trial, self._executor.clock.time())
        except Exception as fault:
            if is_of_the_run(fault, trial.experiment_path):
                raise
            # It has failed already, and the database knows why.
            self._notices.warn(
                f"{trial} has failed, and its {EXPR_ERROR_FILE} cannot be written "
                f"({text_of(fault)}): see Result.error, or `localtune show`."
            )

    def _delete_checkpoint(self, instruction: instructions.DeleteCheckpoint) -> None:
        path = instruction.tracked.checkpoint.path
        # The record without it must be safe before the directory goes.
        self._records.write(sync=True)
        try:
            self._files.remove_checkpoint(path)
        except OSError as error:
            logger.warning("The checkpoint %s cannot be removed: %s", path, error)


_STARTS = (instructions.StartWorker, instructions.ResetWorker)


def _what_failed(instruction: instructions.Instruction, fault: Exception) -> str:
    if isinstance(fault, CallbackError):
        return f"{fault.place} raised an exception"
    if isinstance(instruction, instructions.PrepareTrial):
        return "its directory could not be prepared"
    if isinstance(instruction, _STARTS):
        return "its worker could not be started"
    return f"the run could not carry out {type(instruction).__name__} for it"


def _storage_error(error: OSError) -> StorageError:
    return StorageError(
        f"The experiment's directory cannot be written: {error}. "
        "Make room or rights there and resume the run."
    )
