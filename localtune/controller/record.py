"""RunRecord: the state that the parts of the controller share, and its invariants."""

from __future__ import annotations

from localtune.controller.clone_table import CloneTable
from localtune.controller.waiting import WAITING, WaitingTrials
from localtune.controller.workers import Phase, WorkerTable
from localtune.error import LocaltuneInternalError
from localtune.trial.status import Status
from localtune.trial.trial import Trial


class RunRecord:
    """The state of a run in progress. It makes no decisions and asks no scheduler or searcher.

    Args:
        workers: A table without workers.
        may_reuse_workers: Initial value of the attribute.

    Attributes:
        trials: All trials, in the order of their creation.
        live: {trial id: trial} of the trials that have not ended. A retried trial moves to the end.
        waiting: The trials that wait to run.
        workers: The workers that have not ended, and the resources that they hold.
        clones: The trials that wait for a donor's checkpoint, and the pins on checkpoints.
        retry_times: {trial id: time of the next try} of the failed trials that wait for it, by the
            run's clock, in seconds.
        started_ids: Ids of the live trials that this session has started.
        may_reuse_workers: Whether a worker serves another trial when its trial has ended.
        max_running: How many trials may run at once since the machine ran short of memory or of
            processes. None before that.
        has_result: Whether any trial has reported a result in this session.
        is_ending: Whether the run only waits for its workers to end.
        error: The error that ended the run early, or None.
    """

    def __init__(self, workers: WorkerTable, *, may_reuse_workers: bool = False) -> None:
        self.trials: list[Trial] = []
        self.live: dict[str, Trial] = {}
        self.waiting = WaitingTrials()
        self.workers = workers
        self.clones = CloneTable()
        self.retry_times: dict[str, float] = {}
        self.started_ids: set[str] = set()
        self.may_reuse_workers = may_reuse_workers
        self.max_running: int | None = None
        self.has_result = False
        self.is_ending = False
        self.error: BaseException | None = None

    # -- questions --------------------------------------------------------------------------------

    @property
    def has_startable(self) -> bool:
        """Whether a trial is pending or paused."""
        return bool(self.waiting.ids[Status.PENDING] or self.waiting.ids[Status.PAUSED])

    def trial_of(self, worker_id: int) -> Trial | None:
        """Returns the trial that a worker serves; None if the worker is unknown or serves none."""
        worker = self.workers.get(worker_id)
        return worker.trial if worker is not None else None

    def is_saving(self, trial: Trial) -> bool:
        """Returns whether a save of the trial is in flight or follows the step in flight."""
        worker = self.workers.of_trial(trial)
        return worker is not None and (worker.save_wanted or worker.phase is Phase.SAVING)

    # -- moves ------------------------------------------------------------------------------------

    def add(self, trial: Trial) -> None:
        """Adds a trial: a new one, or one of an earlier session."""
        self.trials.append(trial)
        if not trial.is_finished():
            self.live[trial.trial_id] = trial
            self.waiting.add(trial)

    def move(self, trial: Trial, status: Status) -> None:
        """Sets the status of a trial.

        Args:
            trial: A trial of the run.
            status: Its new status.

        Raises:
            ValueError: if that move does not exist.
        """
        trial.set_status(status)
        self.waiting.note_status(trial)

    def requeue(self, trial: Trial) -> None:
        """Makes a failed trial pending, behind all other live trials."""
        self.move(trial, Status.PENDING)
        del self.live[trial.trial_id]
        self.live[trial.trial_id] = trial
        self.waiting.add(trial)

    def end(self, trial: Trial, status: Status) -> None:
        """Ends a live trial.

        Args:
            trial: The trial. Its error is forgotten unless it ends as ``ERROR``.
            status: ``TERMINATED`` or ``ERROR``.
        """
        self.move(trial, status)
        if status is Status.TERMINATED:
            trial.error = None
        del self.live[trial.trial_id]
        self.waiting.remove(trial)
        self.started_ids.discard(trial.trial_id)
        trial.close()

    # -- invariants -------------------------------------------------------------------------------

    def validate(self) -> None:
        """Checks the invariants of the record; for tests.

        Raises:
            LocaltuneInternalError: if one of them is broken.
        """
        problems = [*self._problems_of_trials(), *self._problems_of_workers()]
        if problems:
            raise LocaltuneInternalError("; ".join(problems))

    def _problems_of_trials(self) -> list[str]:
        problems = []
        live = {trial.trial_id for trial in self.trials if not trial.is_finished()}
        if live | self.retry_times.keys() != set(self.live):
            problems.append("the live trials are not the trials that have not ended")
        for status in WAITING:
            ids = {trial.trial_id for trial in self.trials if trial.status is status}
            noted = self.waiting.ids[status]
            if ids != noted:
                problems.append(f"{len(ids)} trials are {status}, not {len(noted)} as counted")
            first = next((each for each in self.live.values() if each.status is status), None)
            if self.waiting.first(status) is not first:
                problems.append(f"{first} is the first that is {status}, and another one is noted")
        for trial in self.live.values():
            is_running = trial.status is Status.RUNNING
            if is_running and self.workers.of_trial(trial) is None and not self.is_ending:
                problems.append(f"{trial} is running without a worker")
        return problems

    def _problems_of_workers(self) -> list[str]:
        problems = []
        for worker in self.workers:
            if (worker.trial is None) != (worker.phase in (Phase.IDLE, Phase.STOPPING)):
                problems.append(f"worker {worker.worker_id} has the wrong phase {worker.phase}")
            former = worker.former
            if former is not None and self.workers.of_trial(former) is not None:
                problems.append(f"two workers are in the directory of {former}")
            if worker.trial is not None and worker.trial.status is not Status.RUNNING:
                problems.append(f"{worker.trial} has a worker and is {worker.trial.status}")
        return problems
