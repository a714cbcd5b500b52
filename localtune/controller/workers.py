"""Workers and WorkerTable: the workers of a run, and the resources that they hold.

::

    STARTING --+--> RESTORING --> TRAINING --> AT_REST    IDLE --> RESETTING --> (as STARTING)
               +--------------------^ ^          |  ^      ^
                                      +----------+  |      |
                                      |          v  |      |
                                      |        SAVING      |
                                      |          |         |
                                      +----------+--> EXPORTING
                                                 |         |
                                                 +---------+-- (reuse) --> IDLE
      any --> STOPPING --> gone

A worker that is IDLE or STOPPING may still write into the directory of the trial that it served
last. That trial starts again in this very worker, or when the worker has gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from localtune.controller.clone_table import Clone
from localtune.execution.executor import Capacity
from localtune.resources import Allocation, PlacementGroupFactory, ResourcePool, request_of
from localtune.trial.trial import Trial

# Values of Worker.decision.
CONTINUE, PAUSE, STOP, NOOP = "CONTINUE", "PAUSE", "STOP", "NOOP"


class Phase(Enum):
    """The command that a worker has in flight, or its state without one."""

    STARTING = "setup"
    RESETTING = "reset"
    RESTORING = "restore"
    TRAINING = "train"
    SAVING = "save"
    EXPORTING = "export"
    AT_REST = "waiting for a decision"
    IDLE = "waiting"
    STOPPING = "stop"

    @property
    def is_step(self) -> bool:
        """Whether a command is in flight that is given up if its trial is not to go on."""
        return self in _STEPS


_STEPS = frozenset({Phase.STARTING, Phase.RESETTING, Phase.RESTORING, Phase.TRAINING})


@dataclass(slots=True, eq=False)
class Worker:
    """One worker.

    Attributes:
        worker_id: Unique within the run.
        trial: The trial that it serves; None while IDLE or STOPPING.
        former: The trial that it served last; None unless IDLE or STOPPING.
        request: {resource: amount} that it holds.
        allocation: The same, with the ids of its GPUs.
        phase: Its phase.
        decision: The decision about the trial, carried out when the save in flight is done; "" if
            there is none.
        clone: The clone that the trial becomes then, or None.
        is_deciding: Whether the latest result of the trial is being decided upon.
        is_unwanted: Whether the scheduler has decided that the trial ends.
        ends_with_save: Whether the trial has ended well when the save in flight is done, although
            the run is ending.
        pause_wanted: Whether the trial is paused after the step in flight.
        is_ready: Whether the trial may start again at once when it has been paused.
        save_wanted: Whether the trial is saved after the step in flight.
        busy_since: When the command in flight was sent, by the run's clock, in seconds.
    """

    worker_id: int
    trial: Trial | None
    request: dict[str, float]
    allocation: Allocation
    phase: Phase = Phase.STARTING
    former: Trial | None = None
    decision: str = ""
    clone: Clone | None = None
    is_deciding: bool = False
    is_unwanted: bool = False
    ends_with_save: bool = False
    pause_wanted: bool = False
    is_ready: bool = False
    save_wanted: bool = False
    busy_since: float = 0.0

    @property
    def defers_requests(self) -> bool:
        """Whether requests wait until a save is done: one is in flight, or may be due."""
        return self.phase is Phase.SAVING or self.is_deciding


class WorkerTable:
    """All workers that have not ended. It keeps books and decides nothing.

    Args:
        capacity: The resources that they share.

    Attributes:
        gpu_ids: Names of all GPUs.
        is_full: Whether a worker was not hired although its resources were free.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._pool = ResourcePool(capacity.resources, gpu_ids=capacity.gpu_ids)
        self.gpu_ids = capacity.gpu_ids
        self._max_workers = capacity.max_workers
        self.is_full = False
        self._workers: dict[int, Worker] = {}
        self._by_trial: dict[str, Worker] = {}
        self._former: dict[str, Worker] = {}  # {id of the trial that it served last: worker}
        self._idle: dict[int, Worker] = {}  # the longest idle one first
        self._next_id = 1
        self._turned_away: dict[str, float] | None = None  # a request that does not fit at present
        # Most trials share one object that says what they ask for.
        self._known: tuple[PlacementGroupFactory | None, dict[str, float]] = (None, {})

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def get(self, worker_id: int) -> Worker | None:
        """Returns the worker; None if it has ended."""
        return self._workers.get(worker_id)

    def of_trial(self, trial: Trial) -> Worker | None:
        """Returns the worker that serves a trial, or None."""
        return self._by_trial.get(trial.trial_id)

    def former(self, trial: Trial) -> Worker | None:
        """Returns the worker that served a trial last and has not ended, or None."""
        return self._former.get(trial.trial_id)

    @property
    def serving_count(self) -> int:
        """The number of trials that have a worker."""
        return len(self._by_trial)

    def idle(self) -> list[Worker]:
        """Returns the idle workers, the longest idle one first."""
        return list(self._idle.values())

    def why_never(self, trial: Trial) -> str:
        """Returns why a trial's request can never be met; "" if it can."""
        request = self._request(trial)
        return "" if self._pool.can_ever_fit(request) else self._pool.explain_misfit(request)

    def find_idle(self, trial: Trial) -> Worker | None:
        """Returns an idle worker that holds exactly what a trial asks for, or None."""
        return next((each for each in self._idle.values() if self.suits(each, trial)), None)

    def suits(self, worker: Worker, trial: Trial) -> bool:
        """Returns whether a worker holds exactly what a trial asks for.

        Args:
            worker: The worker.
            trial: The trial.
        """
        return worker.request == self._request(trial)

    def hire(self, trial: Trial) -> Worker | None:
        """Returns a new worker for a trial; None if its resources are not free."""
        request = self._request(trial)
        # The same trial is tried again after each event.
        if request == self._turned_away:
            return None
        if not self._pool.fits(request):
            self._turned_away = request
            return None
        if self._max_workers is not None and len(self._workers) >= self._max_workers:
            self._turned_away = request
            self.is_full = True
            return None
        worker_id = self._next_id
        self._next_id += 1
        allocation = self._pool.acquire(str(worker_id), request)
        worker = Worker(worker_id, trial, request, allocation)
        self._workers[worker_id] = worker
        self._by_trial[trial.trial_id] = worker
        return worker

    def assign(self, worker: Worker, trial: Trial) -> None:
        """Lets an idle worker serve a trial.

        Args:
            worker: The worker.
            trial: The trial.
        """
        self._forget_former(worker)
        worker.trial = trial
        worker.phase = Phase.RESETTING
        del self._idle[worker.worker_id]
        worker.is_unwanted = False
        self._by_trial[trial.trial_id] = worker

    def detach(self, worker: Worker, phase: Phase) -> None:
        """Takes a worker from its trial.

        Args:
            worker: The worker.
            phase: ``IDLE`` or ``STOPPING``.
        """
        if worker.trial is not None:
            del self._by_trial[worker.trial.trial_id]
            worker.former = worker.trial
            self._former[worker.former.trial_id] = worker
        worker.trial = None
        worker.phase = phase
        if phase is Phase.IDLE:
            self._idle[worker.worker_id] = worker
        else:
            self._idle.pop(worker.worker_id, None)
        worker.decision = ""
        worker.clone = None
        worker.pause_wanted = worker.is_ready = False
        worker.save_wanted = False

    def remove(self, worker: Worker) -> None:
        """Removes a worker that has ended, and frees its resources."""
        if worker.trial is not None:
            del self._by_trial[worker.trial.trial_id]
        self._forget_former(worker)
        del self._workers[worker.worker_id]
        self._idle.pop(worker.worker_id, None)
        self._pool.release(str(worker.worker_id))
        self._turned_away = None

    def _forget_former(self, worker: Worker) -> None:
        if worker.former is not None:
            del self._former[worker.former.trial_id]
            worker.former = None

    def _request(self, trial: Trial) -> dict[str, float]:
        """Returns {resource: amount} that a trial asks for; not to be changed."""
        factory = trial.placement_group_factory
        assert factory is not None
        if factory is not self._known[0]:
            self._known = (factory, request_of(factory))
        return self._known[1]
