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

from localtune.error import ResourceRequestError
from localtune.execution.slots import Placement, Slot
from localtune.resources import PlacementGroupFactory
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
        slot: Its place, with the resources that it holds.
        phase: Its phase.
        decision: The decision about the trial, carried out when the save in flight is done; "" if
            there is none.
        is_deciding: Whether the latest result of the trial is being decided upon.
        is_unwanted: Whether the scheduler has decided that the trial ends.
        ends_with_save: Whether the trial has ended well when the save in flight is done, although
            the run is ending.
        pause_wanted: Whether the trial is paused after the step in flight.
        is_ready: Whether the trial may start again at once when it has been paused.
        save_wanted: Whether the trial is saved after the step in flight.
        has_ended: Whether it ends by itself, with nothing to save and nothing to tidy.
        busy_since: When the command in flight was sent, by the run's clock, in seconds.
    """

    worker_id: int
    trial: Trial | None
    slot: Slot
    phase: Phase = Phase.STARTING
    former: Trial | None = None
    decision: str = ""
    is_deciding: bool = False
    is_unwanted: bool = False
    ends_with_save: bool = False
    pause_wanted: bool = False
    is_ready: bool = False
    save_wanted: bool = False
    has_ended: bool = False
    busy_since: float = 0.0

    @property
    def defers_requests(self) -> bool:
        """Whether requests wait until a save is done: one is in flight, or may be due."""
        return self.phase is Phase.SAVING or self.is_deciding


class WorkerTable:
    """All workers that have not ended. It keeps books and decides nothing.

    Args:
        placement: Has the slots of the workers.
    """

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._workers: dict[int, Worker] = {}
        self._by_trial: dict[str, Worker] = {}
        self._former: dict[str, Worker] = {}  # {id of the trial that it served last: worker}
        self._idle: dict[int, Worker] = {}  # the longest idle one first
        self._commanded: dict[int, Worker] = {}  # have got a command since the last look
        self._next_id = 1

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

    def refusal_of(self, trial: Trial) -> ResourceRequestError | None:
        """Returns the error for a trial that can never get a slot; None if it may get one."""
        reason = self._placement.why_never(_request_of(trial))
        return ResourceRequestError(f"{trial} can never run. {reason}") if reason else None

    def why_no_more(self, trial: Trial) -> str:
        """Returns what keeps a trial from a slot although its resources are free; or ""."""
        return self._placement.why_no_more(_request_of(trial))

    def find_idle(self, trial: Trial) -> Worker | None:
        """Returns an idle worker that :meth:`suits` a trial, or None."""
        return next((each for each in self._idle.values() if self.suits(each, trial)), None)

    def suits(self, worker: Worker, trial: Trial) -> bool:
        """Returns whether a worker holds exactly what a trial asks for, and may keep it.

        Args:
            worker: The worker.
            trial: The trial.
        """
        fits = worker.slot.request == _request_of(trial)
        return fits and self._placement.may_keep(worker.slot)

    def hire(self, trial: Trial) -> Worker | None:
        """Returns a new worker for a trial; None if there is no slot for it now."""
        slot = self._placement.reserve(_request_of(trial))
        if slot is None:
            return None
        worker_id = self._next_id
        self._next_id += 1
        worker = Worker(worker_id, trial, slot)
        self._workers[worker_id] = worker
        self._by_trial[trial.trial_id] = worker
        return worker

    def note_command(self, worker: Worker, phase: Phase, now: float) -> None:
        """Notes that a command is sent to a worker.

        Args:
            worker: The worker.
            phase: Its phase while the command is in flight.
            now: Time by the run's clock, in seconds.
        """
        worker.phase = phase
        worker.busy_since = now
        self._commanded[worker.worker_id] = worker

    def take_commanded(self) -> list[Worker]:
        """Returns the workers that have got a command since the last call."""
        commanded = list(self._commanded.values())
        self._commanded.clear()
        return commanded

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
        worker.pause_wanted = worker.is_ready = False
        worker.save_wanted = False

    def remove(self, worker: Worker) -> None:
        """Removes a worker that has ended, and releases its slot."""
        if worker.trial is not None:
            del self._by_trial[worker.trial.trial_id]
        self._forget_former(worker)
        del self._workers[worker.worker_id]
        self._idle.pop(worker.worker_id, None)
        self._commanded.pop(worker.worker_id, None)
        self._placement.release(worker.slot)

    def _forget_former(self, worker: Worker) -> None:
        if worker.former is not None:
            del self._former[worker.former.trial_id]
            worker.former = None


def _request_of(trial: Trial) -> PlacementGroupFactory:
    assert trial.placement_group_factory is not None
    return trial.placement_group_factory
