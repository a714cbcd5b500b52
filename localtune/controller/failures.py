"""Failures: what a failure leads to.

::

      failure --> out of tries, or out of time --> ERROR
              --> [wait] ----------------------> PENDING, behind all other trials
      no room for one more worker -------------> PENDING, and fewer trials run at once
      machine lost ----------------------------> PENDING, behind all other trials, no try is spent
"""

from __future__ import annotations

from localtune.clock import Clock
from localtune.config.failure import FailureConfig
from localtune.controller import instructions, limits, trial_errors
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.shutdown import Shutdown
from localtune.controller.time_limits import TimeLimits
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.workers import Phase, Worker
from localtune.error import TrialError, TrialTimeoutError, TuneError, WorkerStartError
from localtune.execution.executor import WorkerExit
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages


class Failures:
    """Retries trials that fail, or gives them up.

    Args:
        config: How often and how long a trial is tried, and how many failures end the run.
        record: State of the run.
        out: Receives the instructions.
        commands: Stops workers.
        deciders: Are told of failures.
        cloning: Lets the trials go on that wait for a checkpoint of the failed trial.
        ends: Ends trials.
        shutdown: Ends the run.
        clock: For times of retries and limits.

    Attributes:
        time_limits: When running trials take too long; None if they may take any time.
        has_news: Whether a start or a trial has failed, or a start was given up, since the latest
            check: its slot is free, and it may be retried.
    """

    def __init__(
        self,
        config: FailureConfig,
        record: RunRecord,
        out: instructions.InstructionList,
        commands: WorkerCommands,
        deciders: Deciders,
        cloning: Cloning,
        ends: TrialEnds,
        shutdown: Shutdown,
        clock: Clock,
    ) -> None:
        self._config = config
        self._record = record
        self._out = out
        self._commands = commands
        self._deciders = deciders
        self._cloning = cloning
        self._ends = ends
        self._shutdown = shutdown
        self._clock = clock
        self.has_news = False
        self._failed_count = 0
        has_limits = (config.iteration_timeout_s, config.trial_timeout_s) != (None, None)
        self.time_limits = TimeLimits(config, record.workers) if has_limits else None

    def check(self) -> None:
        """Fails the trials that take too long, and retries those that have waited long enough."""
        self.has_news = False
        if self.time_limits is not None:
            self._fail_overdue(self.time_limits)
        if self._record.retry_times:
            self._retry_due()

    # -- causes -----------------------------------------------------------------------------------

    def take_exit(self, worker: Worker, exit: WorkerExit) -> None:
        """Takes in the end of a worker: if it served a trial, the trial fails.

        Args:
            worker: Has ended.
            exit: How it has ended.
        """
        trial, former, phase = worker.trial, worker.former, worker.phase
        self._record.workers.remove(worker)
        inhabitant = trial or former
        if inhabitant is not None and not (worker.has_ended and exit.exit_code == 0):
            self._out.append(instructions.TidyTrial(inhabitant))
        if trial is None:
            return
        if exit.no_room and self._wait_for_room(trial, exit.describe()):
            return
        if exit.node_lost:
            self._go_on_elsewhere(worker, trial)
            return
        if exit.out_of_memory:
            self._run_fewer("Memory ran short")
        self.fail(worker, trial, trial_errors.error_of_exit(exit, trial, phase.value))

    def take_reply(self, worker: Worker, trial: Trial, reply: messages.Failed) -> None:
        """Takes in that user code raised.

        Args:
            worker: Serves the trial.
            trial: The trial that fails.
            reply: The worker's answer.
        """
        self._commands.dismiss(worker, f"its trial failed in {reply.command.lower()}")
        self.fail(worker, trial, trial_errors.error_of_failed(reply, trial))

    def fail_start(self, worker_id: int, error: TuneError) -> None:
        """Takes in that a worker could not be started or could not be given its trial.

        Args:
            worker_id: The worker.
            error: Why. After a shortage of processes, the trial waits for others to end.
        """
        worker = self._record.workers.get(worker_id)
        if worker is None or worker.trial is None:
            return
        self.has_news = True
        trial = worker.trial
        if worker.phase is Phase.RESETTING:
            self._commands.dismiss(worker, "its trial cannot be sent")
        else:
            self._record.workers.remove(worker)
        is_shortage = isinstance(error, WorkerStartError) and error.is_shortage
        if not (is_shortage and self._wait_for_room(trial, str(error))):
            self.fail(worker, trial, error)

    def forget_worker(self, worker_id: int) -> None:
        """Takes in that a worker was not started, because its trial or the run is ending."""
        worker = self._record.workers.get(worker_id)
        if worker is not None:
            self.has_news = True
            self._record.workers.remove(worker)

    def fail_trial(self, trial: Trial, error: TrialError) -> None:
        """Takes in that something failed which the run did on behalf of a trial.

        Args:
            trial: The trial. If it has ended, or the run is ending, it stays as it is.
            error: What failed.
        """
        if self._record.is_ending or trial.is_finished():
            self._out.append(instructions.Warn(trial_errors.warning_of(error, trial)))
            return
        self.has_news = True
        worker = self._record.workers.of_trial(trial)
        if worker is not None:
            self._commands.dismiss(worker, "its trial has failed")
        self.fail(worker, trial, error)

    def _fail_overdue(self, time_limits: TimeLimits) -> None:
        """Fails the trials that exceed a limit of time, and kills their workers."""
        now = self._clock.monotonic()
        for worker in time_limits.take_over(now):
            trial = worker.trial
            # The failure of another one may have ended it.
            error = limits.overdue(self._config, worker, trial, now) if trial is not None else None
            if trial is not None and error is not None:
                self._commands.dismiss(worker, "its trial takes too long", force=True)
                self.fail(worker, trial, error)

    # -- consequences -----------------------------------------------------------------------------

    def fail(self, worker: Worker | None, trial: Trial, error: TuneError) -> None:
        """Retries a trial that has failed, or gives it up.

        Args:
            worker: Served the trial, and has been dismissed or has ended; None if none did.
            trial: The trial.
            error: Why it failed.
        """
        trial.error = error
        trial.num_failures += 1
        trial.failed_tries += 1
        self._out.append(instructions.WriteError(trial))
        self._break_off(trial)
        is_final = isinstance(error, TrialTimeoutError) and error.is_final
        if not trial.should_retry or is_final:
            self._give_up(trial, error)
        else:
            self._try_again(worker, trial, limits.retry_wait(self._config, trial.num_failures))

    def _go_on_elsewhere(self, worker: Worker, trial: Trial) -> None:
        """Lets a trial go on whose worker was lost with its machine: the trial has not failed."""
        # The machine may come back while it writes a checkpoint with this number.
        trial.next_checkpoint_index += 1
        self._break_off(trial)
        self._try_again(worker, trial)

    def _break_off(self, trial: Trial) -> None:
        """Tells those who count on a try of a trial that this try has no end."""
        self._cloning.give_up(trial)
        self._deciders.fail(trial)

    def _try_again(self, worker: Worker | None, trial: Trial, wait_s: float = 0.0) -> None:
        """Lets a trial start again from its latest checkpoint, unless it is to end.

        Args:
            worker: Served the trial; None if none did.
            trial: The trial.
            wait_s: Seconds to wait before that.
        """
        record = self._record
        if record.is_ending:
            # A resumed run retries it.
            record.move(trial, Status.PENDING)
            self._out.append(instructions.Persist(trial))
        elif worker is not None and worker.is_unwanted:
            self._ends.end_well(trial)
        else:
            record.move(trial, Status.ERROR)
            if wait_s:
                record.retry_times[trial.trial_id] = self._clock.monotonic() + wait_s
            else:
                self._retry(trial)

    def _retry_due(self) -> None:
        now = self._clock.monotonic()
        for trial_id in [each for each, time in self._record.retry_times.items() if time <= now]:
            del self._record.retry_times[trial_id]
            self._retry(self._record.live[trial_id])

    def _retry(self, trial: Trial) -> None:
        self._record.requeue(trial)
        self._deciders.add(trial)
        self._out.append(instructions.Notify("on_trial_recover", trial))
        self._out.append(instructions.Persist(trial))

    def _give_up(self, trial: Trial, error: TuneError) -> None:
        self._failed_count += 1
        self._ends.finish(trial, Status.ERROR)
        self._deciders.end(trial, error=True)
        self._out.append(instructions.Notify("on_trial_error", trial))
        self._out.append(instructions.Persist(trial))
        if self._config.fail_fast == "raise":
            self._shutdown.abort(error)
        elif self._config.fail_fast and not self._record.is_ending:
            self._shutdown.cut_short("a trial failed, and fail_fast is set")
        why = limits.why_too_many(
            self._config, self._failed_count, has_result=self._record.has_result
        )
        if why and not self._record.is_ending:
            self._out.append(
                instructions.Warn(
                    f"The run ends early: {why}. The last one, {trial}, failed with:\n{error}\n"
                    "Mend it and resume the run with resume_errored=True; max_failed_trials=-1 "
                    "lets a run go on after any number of failures."
                )
            )
            self._shutdown.leave_off("too many trials have failed")

    def _wait_for_room(self, trial: Trial, why: str) -> bool:
        """Makes a trial pending for which the machine has no room, if others run that will end.

        Returns:
            Whether others run.
        """
        if not self._record.workers.serving_count:
            return False
        self._run_fewer(why)
        self._record.move(trial, Status.PENDING)
        self._out.append(instructions.Persist(trial))
        return True

    def _run_fewer(self, why: str) -> None:
        """Limits the number of trials at once to the number that run now, but at least to one."""
        limit = max(self._record.workers.serving_count, 1)
        self._record.max_running = limit
        self._out.warn_once(
            f"{why}: from now on no more than {limit} of the trials run at once.", subject=why
        )
