"""Starter: which trials start, and in which workers."""

from __future__ import annotations

from localtune.clock import Clock
from localtune.controller import instructions
from localtune.controller.commands import WorkerCommands
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.requests import Requests
from localtune.controller.shutdown import Shutdown
from localtune.controller.workers import Phase, Worker
from localtune.error import TuneError
from localtune.trial.status import Status
from localtune.trial.trial import Trial


class Starter:
    """Starts the trials that the scheduler chooses, as far as limits and resources allow.

    Args:
        record: State of the run.
        out: Receives the instructions.
        commands: Stops workers whose resources are needed.
        deciders: Choose the trials.
        requests: Carries out what the scheduler asks for while it chooses.
        shutdown: Ends the run when the scheduler chooses a trial that cannot start.
        clock: For times of starts.
        max_concurrent_trials: How many trials may run at once; 0 is no limit.
        ends_with_function: Whether a worker whose function has returned is of no use any more.

    Attributes:
        scheduler_waits: Whether the scheduler chose no trial when it was last asked.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        commands: WorkerCommands,
        deciders: Deciders,
        requests: Requests,
        shutdown: Shutdown,
        clock: Clock,
        max_concurrent_trials: int = 0,
        *,
        ends_with_function: bool = False,
    ) -> None:
        self.scheduler_waits = False
        self._record = record
        self._out = out
        self._commands = commands
        self._deciders = deciders
        self._requests = requests
        self._shutdown = shutdown
        self._clock = clock
        self._max_concurrent_trials = max_concurrent_trials
        self._ends_with_function = ends_with_function

    def start_chosen(self) -> None:
        """Starts trials until the scheduler chooses none, or the chosen one cannot start now."""
        while not self._record.is_ending:
            trial = self._deciders.choose_trial() if self._record.has_startable else None
            if self._requests.waiting:
                self._requests.serve()
            self.scheduler_waits = trial is None
            if trial is None or self._record.is_ending or not self.start(trial):
                return

    def start(self, trial: Trial) -> bool:
        """Starts a trial.

        Returns:
            Whether it has started; if not, it may when a worker has ended.
        """
        if trial.status not in (Status.PENDING, Status.PAUSED):
            scheduler = type(self._deciders.scheduler).__name__
            self._shutdown.abort(
                TuneError(
                    f"The scheduler {scheduler} chose the trial {trial} to run, which is "
                    f"{trial.status}: only pending and paused trials can start."
                )
            )
            return False
        if self._is_limit_reached():
            return False
        worker = self._worker_for(trial)
        if worker is None:
            return False
        self._begin(worker, trial)
        return True

    def release_idle(self) -> None:
        """Stops the idle workers when no trial will need them any more."""
        idle = self._record.workers.idle()
        if not idle or self._record.has_startable or not self._deciders.searcher.is_finished():
            return
        for worker in idle:
            self._commands.dismiss(worker, "no trial is left for it")

    def _is_limit_reached(self) -> bool:
        """Returns whether as many trials run as may; a resumed run may hold more than that."""
        count, most = self._record.workers.serving_count, self._record.max_running
        return 0 < self._max_concurrent_trials <= count or (most is not None and count >= most)

    def _worker_for(self, trial: Trial) -> Worker | None:
        workers, may_reuse = self._record.workers, self._record.may_reuse_workers
        former = workers.former(trial)
        if former is not None:
            is_idle = former.phase is Phase.IDLE and may_reuse
            if is_idle and workers.suits(former, trial):
                workers.assign(former, trial)
                return former
            # Two processes must not work in one directory: the trial starts when this one is gone.
            self._commands.dismiss(former, "its trial starts again")
            return None
        idle = workers.find_idle(trial) if may_reuse else None
        if idle is not None:
            workers.assign(idle, trial)
            return idle
        worker = workers.hire(trial)
        if worker is None:
            self._make_room(trial)
        return worker

    def _make_room(self, trial: Trial) -> None:
        """Stops an idle worker whose slot is needed; warns of a limit on the number of workers.

        Args:
            trial: A trial for which there is no slot. If no worker holds any, and there will be no
                slot for it later, the run ends.
        """
        workers = self._record.workers
        reason = workers.why_no_more(trial)
        if reason:
            self._out.warn_once(reason)
        for idle in workers.idle()[:1]:
            self._commands.dismiss(idle, "its resources are needed")
        refusal = workers.refusal_of(trial) if not len(workers) else None
        if refusal is not None:
            self._shutdown.abort(refusal)

    def _begin(self, worker: Worker, trial: Trial) -> None:
        record = self._record
        record.move(trial, Status.RUNNING)
        record.workers.note_command(worker, worker.phase, self._clock.monotonic())
        is_first = trial.start_time is None
        if is_first:
            trial.start_time = self._clock.time()
        point = trial.resume_point
        kept_count = point.result_count if point is not None else 0
        is_known = trial.result_count == kept_count and trial.trial_id in record.started_ids
        trial.result_count = kept_count
        record.started_ids.add(trial.trial_id)
        self._out.append(instructions.PrepareTrial(trial, is_first, is_known))
        self._out.append(instructions.Persist(trial))
        if worker.phase is Phase.RESETTING:
            reset = instructions.ResetWorker(
                worker.worker_id, trial, worker.slot, trains_at_once=point is None
            )
            self._out.append(reset)
            return
        self._out.append(
            instructions.StartWorker(
                worker.worker_id,
                trial,
                worker.slot,
                trains_at_once=point is None,
                ends_with_function=self._ends_with_function and not record.may_reuse_workers,
            )
        )
