"""Controller: decides what a run does next, without doing anything itself.

::

      executor events --> handle(event) --+
                                          +--> instructions --> the loop carries them out
      after each event --> advance() -----+

      handle:   Replied --> replies --> readiness | results | decisions | failures
                Exited  --> failures
                            then the requests that the scheduler has made meanwhile

      advance:  endings (budget, stop conditions) --> failures (limits of time, retries)
                --> starter, creator, starter --> standstill

The parts share one :class:`RunRecord` and one list of instructions. They ask the searcher, the
scheduler and the stopper through :class:`Deciders`. No part waits, writes, or talks to a process.
docs/controller.md says which question each part answers.
"""

from __future__ import annotations

from localtune.clock import Clock
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.creator import Creator
from localtune.controller.deciders import Deciders
from localtune.controller.decisions import Decisions
from localtune.controller.endings import Endings
from localtune.controller.failures import Failures
from localtune.controller.instructions import Instruction, InstructionList
from localtune.controller.metric_check import MetricCheck
from localtune.controller.readiness import Readiness
from localtune.controller.record import RunRecord
from localtune.controller.replies import Replies
from localtune.controller.requests import Requests
from localtune.controller.results import Results
from localtune.controller.saves import Saves
from localtune.controller.settings import RunSettings
from localtune.controller.shutdown import Shutdown
from localtune.controller.standstill import POLL_S, Standstill
from localtune.controller.starter import Starter
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.view import SchedulerView
from localtune.controller.workers import WorkerTable
from localtune.error import LocaltuneInternalError, TrialError, TuneError
from localtune.execution.executor import Exited, Replied, WorkerEvent
from localtune.execution.slots import Placement
from localtune.schedulers.base import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.stopper.base import Stopper
from localtune.trial.trial import Trial


class Controller:
    """A run, as a state machine: events in, instructions out.

    Args:
        settings: What the run was asked to do.
        searcher: Suggests configurations.
        scheduler: Decides after each result, and chooses the trials to run.
        stopper: The stop conditions of the run.
        placement: Has the slots of the workers.
        clock: For all times.

    Attributes:
        record: The state of the run.
    """

    def __init__(
        self,
        settings: RunSettings,
        searcher: SearchAlgorithm,
        scheduler: TrialScheduler,
        stopper: Stopper,
        placement: Placement,
        clock: Clock,
    ) -> None:
        spec = settings.spec
        workers = WorkerTable(placement)
        record = RunRecord(workers, may_reuse_workers=settings.reuse_workers)
        out = InstructionList()
        commands = WorkerCommands(record, out, clock)
        cloning = Cloning(record, out, commands)
        shutdown = Shutdown(record, out, commands, cloning, exports=bool(spec.export_formats))
        view = SchedulerView(
            record.trials,
            record.live,
            record.waiting,
            searcher,
            placement.resources,
            record.is_saving,
        )
        deciders = Deciders(searcher, scheduler, stopper, view, shutdown)
        ends = TrialEnds(record, out, deciders, commands, cloning)
        requests = Requests(record, view.requests, commands, cloning, ends)
        failures = Failures(
            spec.failure_config, record, out, commands, deciders, cloning, ends, shutdown, clock
        )
        saves = Saves(record, out, cloning, spec.checkpoint_config)
        decisions = Decisions(record, commands, cloning, saves, ends, spec.export_formats)
        metric_check = MetricCheck(
            spec.tune_config.metric,
            _single(scheduler.metric),
            _single(searcher.metric),
            numbers=[*stopper.number_keys(), *scheduler.number_keys()],
        )
        results = Results(
            record,
            out,
            commands,
            deciders,
            requests,
            decisions,
            saves,
            failures,
            shutdown,
            metric_check,
        )
        readiness = Readiness(record, out, commands)
        creator = Creator(settings, record, out, deciders, shutdown)
        starter = Starter(
            record,
            out,
            commands,
            deciders,
            requests,
            shutdown,
            clock,
            spec.tune_config.trial_limit,
            ends_with_function=not (spec.export_formats or saves.at_end),
        )
        self.record = record
        self._out = out
        self._clock = clock
        self._deciders = deciders
        self._requests = requests
        self._saves = saves
        self._failures = failures
        self._replies = Replies(
            record, commands, readiness, results, decisions, saves, ends, failures
        )
        self._creator = creator
        self._starter = starter
        self._standstill = Standstill(record, out, deciders, creator, starter, shutdown, clock)
        self._endings = Endings(
            record,
            deciders,
            requests,
            shutdown,
            clock,
            time_budget_s=spec.tune_config.budget_s,
            can_save=settings.can_save,
        )

    # -- questions --------------------------------------------------------------------------------

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their creation."""
        return self.record.trials

    @property
    def error(self) -> BaseException | None:
        """The error that ended the run early, or None."""
        return self.record.error

    @property
    def is_done(self) -> bool:
        """Whether no work and no worker is left."""
        record = self.record
        if (record.live and not record.is_ending) or len(record.workers):
            return False
        return record.is_ending or self._deciders.searcher.is_finished()

    @property
    def is_ending(self) -> bool:
        """Whether the run only waits for its workers to end."""
        return self.record.is_ending

    @property
    def is_stopper_spent(self) -> bool:
        """Whether the stop conditions have ended the run."""
        return self._endings.is_stopper_spent

    @property
    def has_work(self) -> bool:
        """Whether :meth:`advance` can go on at once, without waiting for an event."""
        if self.record.is_ending:
            return False
        may_create = self._creator.has_work and not self._endings.is_winding_down
        return may_create or self._failures.has_news

    def seconds_left(self) -> float | None:
        """Returns the time until :meth:`advance` has work without an event; None is never."""
        if self.record.is_ending:
            return None
        times = list(self.record.retry_times.values())
        if self._endings.deadline is not None:
            times.append(self._endings.deadline)
        if self._endings.is_winding_down:
            times.append(self._endings.saved_until)
        limits = self._failures.time_limits
        if limits is not None and (next_limit := limits.next()) is not None:
            times.append(next_limit)
        if not times:
            return POLL_S if self._standstill.polled_since is not None else None
        left = max(min(times) - self._clock.monotonic(), 0.0)
        return min(left, POLL_S) if self._standstill.polled_since is not None else left

    def trial_of(self, worker_id: int) -> Trial | None:
        """Returns the trial that a worker serves; None if it serves none or has ended."""
        return self.record.trial_of(worker_id)

    # -- stimuli ----------------------------------------------------------------------------------

    def adopt(self, trials: list[Trial]) -> None:
        """Takes over the trials of an earlier session; unfinished ones will run.

        Raises:
            ResourceRequestError: if one of them can never run on this machine.
        """
        self._creator.adopt(trials)

    def handle(self, event: WorkerEvent) -> list[Instruction]:
        """Takes in an event of a worker.

        Raises:
            LocaltuneInternalError: if the worker has ended before.
        """
        worker = self.record.workers.get(event.worker_id)
        if worker is None:
            raise LocaltuneInternalError(f"An event of a worker that has ended: {event!r}")
        if isinstance(event, Replied):
            self._replies.take_in(worker, event.reply)
        elif isinstance(event, Exited):
            self._failures.take_exit(worker, event.exit)
        if self._requests.waiting:
            self._requests.serve()
        return self._out.take()

    def advance(self) -> list[Instruction]:
        """Creates and starts trials, and ends what is over. Called once per turn of the loop."""
        record = self.record
        self._endings.check()
        if not record.is_ending:
            self._failures.check()
            if self._requests.waiting:
                self._requests.serve()
        if not record.is_ending and self._endings.is_winding_down:
            self._endings.check_winding_down()
        elif not record.is_ending:
            self._starter.start_chosen()
            if self._creator.create():
                self._starter.start_chosen()
                self._creator.look_ahead()
            self._standstill.check()
            self._starter.release_idle()
        return self._out.take() if self._out else []

    def interrupt(self) -> list[Instruction]:
        """Ends the run early; unfinished trials keep their status, so that it can be resumed."""
        self._endings.interrupt()
        return self._out.take()

    def wind_down(self, grace_s: float) -> list[Instruction]:
        """Ends the run early, but first lets the running trials write a checkpoint.

        Args:
            grace_s: Seconds after which the run ends even if saves are in flight.
        """
        self._endings.wind_down(grace_s)
        return self._out.take()

    def abort(self, error: BaseException) -> list[Instruction]:
        """Ends the run because of an error of the run itself, not of a trial."""
        self._endings.abort(error)
        return self._out.take()

    def fail_start(self, worker_id: int, error: TuneError) -> list[Instruction]:
        """Takes in that a worker could not be started or could not be given its trial.

        Args:
            worker_id: The worker.
            error: Why.
        """
        self._failures.fail_start(worker_id, error)
        return self._serve_and_take()

    def fail_trial(self, trial: Trial, error: TrialError) -> list[Instruction]:
        """Takes in that something failed which the run did on behalf of a trial.

        Args:
            trial: The trial. If it has ended, or the run is ending, it stays as it is.
            error: What failed.
        """
        self._failures.fail_trial(trial, error)
        return self._serve_and_take()

    def forget_worker(self, worker_id: int) -> list[Instruction]:
        """Takes in that a worker was not started, because its trial or the run is ending."""
        self._failures.forget_worker(worker_id)
        return self._out.take()

    def drop_resume_point(self, trial: Trial) -> None:
        """Takes in that a trial's latest checkpoint is damaged: it goes on from the one before."""
        self._saves.drop_resume_point(trial)

    def close(self) -> None:
        """Tells the searcher, whose state has been kept, that unfinished trials do not go on."""
        self._endings.close()

    def validate(self) -> None:
        """Checks what must always hold; for tests.

        Raises:
            LocaltuneInternalError: if something does not.
        """
        self.record.validate()

    def _serve_and_take(self) -> list[Instruction]:
        if self._requests.waiting:
            self._requests.serve()
        return self._out.take()


def _single(metric: object) -> str | None:
    """Returns a metric if it is a single one; a searcher may have several."""
    return metric if isinstance(metric, str) else None
