"""The surroundings of one part of the controller: a record, a list, and the parts below."""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.deciders import Deciders
from localtune.controller.instructions import Instruction, InstructionList
from localtune.controller.record import RunRecord
from localtune.controller.requests import Requests
from localtune.controller.shutdown import Shutdown
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.view import SchedulerView
from localtune.controller.workers import Phase, Worker, WorkerTable
from localtune.execution.local_slots import LocalSlots
from localtune.resources import resource_dict_to_pg_factory
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.stopper.base import Stopper
from localtune.testing import ManualClock
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial


def make_record(*, may_reuse_workers: bool = False, slots: LocalSlots | None = None) -> RunRecord:
    workers = WorkerTable(slots or LocalSlots(2, 0))
    return RunRecord(workers, may_reuse_workers=may_reuse_workers)


class Parts:
    """A record, a list, and the parts that others are built on.

    Args:
        num_samples: How many trials the searcher suggests.
        scheduler: Decides; FIFO by default.
        stopper: Stops; never by default.
        may_reuse_workers: Whether workers serve several trials.
        slots: The slots of the workers; two CPUs by default.
    """

    def __init__(
        self,
        num_samples: int = 1,
        *,
        scheduler: FIFOScheduler | None = None,
        stopper: Stopper | None = None,
        may_reuse_workers: bool = False,
        slots: LocalSlots | None = None,
    ) -> None:
        self.searcher = BasicVariantGenerator()
        self.searcher.setup({}, num_samples)
        self.clock = ManualClock()
        self.record = make_record(may_reuse_workers=may_reuse_workers, slots=slots)
        self.out = InstructionList()
        self.commands = WorkerCommands(self.record, self.out, self.clock)
        self.cloning = Cloning(self.record, self.out, self.commands)
        self.shutdown = Shutdown(self.record, self.out, self.commands, self.cloning)
        self.view = SchedulerView(
            self.record.trials,
            self.record.live,
            self.record.waiting,
            self.searcher,
            dict,
            self.record.is_saving,
        )
        self.deciders = Deciders(
            self.searcher,
            scheduler or FIFOScheduler(),
            stopper or NoopStopper(),
            self.view,
            self.shutdown,
        )
        self.ends = TrialEnds(self.record, self.out, self.deciders, self.commands, self.cloning)
        self.requests = Requests(
            self.record, self.view.requests, self.commands, self.cloning, self.ends
        )

    def add_trial(self, status: Status = Status.PENDING) -> Trial:
        """A trial that its searcher and its scheduler know."""
        suggestion = self.searcher.next_suggestion()
        trial_id = suggestion.trial_id if suggestion else f"extra{len(self.record.trials)}"
        trial = make_trial(trial_id)
        self.record.add(trial)
        self.deciders.add(trial)
        if status is Status.PAUSED:
            self.record.move(trial, Status.RUNNING)
        if status is not Status.PENDING:
            self.record.move(trial, status)
        return trial

    def add_running(self, phase: Phase = Phase.TRAINING) -> tuple[Worker, Trial]:
        """A trial with a worker that is in this phase."""
        trial = self.add_trial()
        return hire(self.record, trial, phase), trial

    def kinds(self) -> list[str]:
        """Names of the instructions since the last call."""
        return kinds(self.out.take())


def hire(record: RunRecord, trial: Trial, phase: Phase = Phase.TRAINING) -> Worker:
    """Gives a pending trial a worker."""
    worker = record.workers.hire(trial)
    assert worker is not None
    record.workers.note_command(worker, phase, 0.0)
    record.move(trial, Status.RUNNING)
    return worker


def make_trial(trial_id: str = "t0", **options: Any) -> Trial:
    factory = resource_dict_to_pg_factory({"cpu": 1})
    trial = Trial("train", trial_id=trial_id, placement_group_factory=factory, **options)
    trial.dirname = trial_id
    return trial


def save(trial: Trial, index: int = 0) -> TrackedCheckpoint:
    """Puts a checkpoint on a trial's record."""
    path = f"{trial.path}/checkpoint_{index:06d}"
    tracked = TrackedCheckpoint(Checkpoint(path), {"training_iteration": index + 1}, index=index)
    trial.checkpoints.register(tracked)
    return tracked


def kinds(wanted: list[Instruction]) -> list[str]:
    return [type(each).__name__ for each in wanted]
