"""A run without processes and files: workers that answer what a test says, and a pretended disk.

The loop and the dispatcher are the real ones. The disk knows which checkpoints lie in a trial's
directory, and what is half-written there. The ports see that no instruction breaks a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.controller.dispatcher import Dispatcher
from localtune.controller.loop import ExperimentLoop
from localtune.controller.ports import Ports
from localtune.error import LocaltuneInternalError
from localtune.execution.executor import Abilities, Exited, Replied, WorkerEvent, WorkerExit
from localtune.execution.local_slots import LocalExecutor
from localtune.execution.slots import Slot
from localtune.result import SHOULD_CHECKPOINT
from localtune.schedulers import FIFOScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.stopper.base import Stopper
from localtune.testing import ManualClock
from localtune.testing.simulation import SimulationLog
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from localtune.worker.program import WorkerProgram
from tests.controller.settings import make_settings

# How a worker can end that has been told to stop, or dies.
FINISHES, KILLED, KILLED_LATE = "finishes", "killed", "killed late"
FATES = (FINISHES, KILLED, KILLED_LATE)
FAULTS_OF_PORTS = (
    "its worker could not be started",
    "its directory could not be prepared",
    "the run could not carry out",
)


def make_controller(
    num_samples: int = 3,
    *,
    cpus: float = 2,
    scheduler: Any = None,
    stopper: Stopper | None = None,
    clock: ManualClock | None = None,
    request: dict[str, float] | None = None,
    searcher: BasicVariantGenerator | None = None,
    **options: Any,
) -> Controller:
    searcher = searcher or BasicVariantGenerator()
    searcher.setup({}, num_samples)
    executor = ScriptedExecutor(cpus, clock or ManualClock())
    return Controller(
        make_settings(request, **options),
        searcher,
        scheduler or FIFOScheduler(),
        stopper or NoopStopper(),
        executor,
        executor.clock,
    )


def require(holds: bool, otherwise: str) -> None:
    """Sees that an instruction breaks no rule. The dispatcher lets this error through."""
    if not holds:
        raise LocaltuneInternalError(otherwise)


class Disk(SimulationLog):
    """The directories of the trials: which checkpoints lie there, and what is half-written.

    Attributes:
        notices: (hook, trial id) of all that was told.
        trials: {trial id: trial} of those that have a directory.
        prepared: The trial that is about to be assigned.
    """

    def __init__(self, executor: ScriptedExecutor, check: Callable[[], None]) -> None:
        super().__init__(executor.clock, self._discard, "loss", check)
        self.checkpoints: dict[str, set[str]] = {}  # {trial id: paths}
        self.half_written: set[str] = set()  # ids of trials
        self.notices: list[tuple[str, str]] = []
        self.trials: dict[str, Trial] = {}
        self.prepared: Trial | None = None
        self._inhabitants = executor.inhabitants

    def notify(self, hook: str, **arguments: Any) -> None:
        self.notices.append((hook, arguments["trial"].trial_id))

    def make(self, trial: Trial, *, is_resumed: bool) -> None:
        super().make(trial, is_resumed=is_resumed)
        self.trials[trial.trial_id] = trial
        self.prepare(trial)

    def prepare(self, trial: Trial) -> None:
        require(len(self._inhabitants(trial.trial_id)) <= 1, "several workers in one directory")
        self.prepared = trial

    def damage(self, tracked: TrackedCheckpoint) -> str:
        path = tracked.checkpoint.path
        require(any(path in own for own in self.checkpoints.values()), "nothing to go on from")
        return ""

    def remove_leftovers(self, trial: Trial, recorded: Iterable[str]) -> None:
        # An idle worker may stay where it is if it gets its trial back.
        is_free = trial is self.prepared or not self._inhabitants(trial.trial_id)
        require(is_free, "a worker is where it is tidied")
        self.checkpoints.setdefault(trial.trial_id, set()).intersection_update(recorded)
        self.half_written.discard(trial.trial_id)

    def write_error(self, trial: Trial, time_s: float) -> None:
        """Lets no fault of the ports themselves pass for a failure of a trial."""
        text = str(trial.error)
        require(not any(f"because {what}" in text for what in FAULTS_OF_PORTS), text)

    def commit(self, trial_id: str, index: int) -> str:
        trial = self.trials[trial_id]
        path = f"{trial.path}/checkpoint_{index:06d}"
        require(path not in recorded(trial), "a checkpoint on record is overwritten")
        self.checkpoints.setdefault(trial_id, set()).add(path)
        return path

    def check(self, trial: Trial) -> None:
        """Checks a directory in which no worker is: it holds the checkpoints on record."""
        own = recorded(trial)
        assert self.checkpoints.get(trial.trial_id, set()) == own, trial
        assert trial.trial_id not in self.half_written, trial
        if not trial.is_cloned:
            latest = trial.checkpoint.path if trial.checkpoint is not None else None
            assert latest == max(own, default=None), trial

    def _discard(self, path: str) -> None:
        for paths in self.checkpoints.values():
            paths.discard(path)


def recorded(trial: Trial) -> set[str]:
    return {each.checkpoint.path for each in trial.checkpoints}


class ScriptedExecutor(LocalExecutor):
    """Workers without processes: they answer what a script, or a choice, says.

    Args:
        cpus: CPUs to share.
        clock: It is moved on in :meth:`wait`.

    Attributes:
        in_flight: {worker id: command} of those that have not ended.
        stopping: Ids of workers that were told to stop.
        trial_ids: {worker id: id of its latest trial}.
        fate: How workers end that :meth:`wait` ends.
        last_iteration: The iteration after which trials are done in :meth:`wait`.
        reports_checkpoints: Whether each result comes with a checkpoint, as functions do it.
    """

    abilities = Abilities(real_time=False)
    disk: Disk

    def __init__(self, cpus: float, clock: ManualClock) -> None:
        super().__init__(cpus, 0)
        self.in_flight: dict[int, messages.Command | None] = {}
        self.stopping: set[int] = set()
        self.trial_ids: dict[int, str] = {}
        self.fate, self.last_iteration, self.turns_left = KILLED, 2, 0
        self.reports_checkpoints = False
        self._clock = clock
        self._iterations: dict[int, int] = {}  # {worker id: iteration}
        self._next_index: dict[int, int] = {}  # {worker id: number of its next checkpoint}
        self._reported: dict[int, str] = {}  # {worker id: path of its latest checkpoint}

    @property
    def clock(self) -> ManualClock:
        return self._clock

    def inhabitants(self, trial_id: str) -> list[int]:
        """Workers that are, or may be, in a trial's directory."""
        return [each for each in self.in_flight if self.trial_ids[each] == trial_id]

    # -- as the loop sees it ----------------------------------------------------------------------

    def open(
        self, program: WorkerProgram, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        """Does nothing: there is no program."""

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        require(worker_id not in self.trial_ids, "an id is used twice")
        self._assign(worker_id, command)

    def send(self, worker_id: int, command: messages.Command) -> None:
        require(self.in_flight[worker_id] is None, "a command is in flight")
        require(worker_id not in self.stopping, "a command for a worker that stops")
        if isinstance(command, messages.Reset):
            self._assign(worker_id, command)
        self.in_flight[worker_id] = command

    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        require(worker_id not in self.stopping, "stopped twice")
        if worker_id in self.in_flight:
            self.stopping.add(worker_id)

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        """All goes well; those that are told to stop end as ``fate`` says."""
        self.turns_left -= 1
        require(self.turns_left > 0, "the run does not end")
        if timeout_s == 0:
            return []
        if self.stopping:
            return [self.end(next(iter(self.stopping)), fate=self.fate)]
        for worker_id, command in self.in_flight.items():
            if command is not None:
                return [Replied(worker_id, self.answer(worker_id, self.last_iteration))]
        require(timeout_s is not None, "nothing will happen any more")
        self._clock.advance(timeout_s or 0.0)
        return []

    def wake(self) -> None:
        """Does nothing: it never waits."""

    def close(self) -> None:
        self.slots.clear()

    # -- what workers do --------------------------------------------------------------------------

    def end(self, worker_id: int, code: int = 0, *, fate: str = KILLED) -> WorkerEvent:
        """Lets a worker answer the command in flight, if that is its fate, or else end."""
        command = self.in_flight[worker_id]
        if command is not None and fate == FINISHES:
            return Replied(worker_id, self.answer(worker_id))
        is_writing = isinstance(command, messages.Save) or (
            self.reports_checkpoints and isinstance(command, messages.Train)
        )
        if is_writing and fate == KILLED_LATE:
            self._commit(worker_id)
        elif is_writing:
            self.disk.half_written.add(self.trial_ids[worker_id])
        del self.in_flight[worker_id]
        self.stopping.discard(worker_id)
        return Exited(worker_id, WorkerExit(code))

    def answer(self, worker_id: int, last_iteration: int = 2) -> messages.Reply:
        """Returns the expected answer to the command in flight."""
        command, self.in_flight[worker_id] = self.in_flight[worker_id], None
        if isinstance(command, messages.Construct):
            return messages.Ready({"pid": 1})
        if isinstance(command, messages.Reset):
            return messages.ResetDone(True, {"pid": 1})
        if isinstance(command, messages.Train):
            self._iterations[worker_id] += 1
            done = self._iterations[worker_id] >= last_iteration
            result = self._result(worker_id, done=done)
            if self.reports_checkpoints:
                self._commit(worker_id)
                result[SHOULD_CHECKPOINT] = True
            return messages.Trained(result)
        if isinstance(command, messages.Save):
            if not self.reports_checkpoints:
                self._commit(worker_id)
            path, index = self._reported[worker_id], self._next_index[worker_id]
            return messages.Saved(path, self._result(worker_id), next_index=index)
        if isinstance(command, messages.Restore):
            self._iterations[worker_id] = command.metrics.get("training_iteration", 0)
            self._reported[worker_id] = command.path
            return messages.Restored()
        assert isinstance(command, messages.Export), command
        return messages.Exported({})

    def _assign(self, worker_id: int, command: messages.Construct | messages.Reset) -> None:
        trial_id = command.assignment.trial.trial_id
        others = set(self.inhabitants(trial_id)) - {worker_id}
        require(not others, "two workers in one directory")
        self.disk.prepared = None
        self.in_flight[worker_id] = command
        self.trial_ids[worker_id] = trial_id
        self._iterations[worker_id] = 0
        self._next_index[worker_id] = command.assignment.storage.next_checkpoint_index
        self._reported.pop(worker_id, None)

    def _commit(self, worker_id: int) -> None:
        index = self._next_index[worker_id]
        self._next_index[worker_id] = index + 1
        self._reported[worker_id] = self.disk.commit(self.trial_ids[worker_id], index)

    def _result(self, worker_id: int, *, done: bool = False) -> dict[str, Any]:
        return {"loss": 1.0, "training_iteration": self._iterations[worker_id], "done": done}


class Workers:
    """Takes a run on: event by event, as a test wants it, or to its end.

    Args:
        controller: Made by :func:`make_controller`.
        reports_checkpoints: Whether each result comes with a checkpoint, as functions do it.

    Attributes:
        most_at_once: The largest number of workers that served at the same time.
    """

    def __init__(self, controller: Controller, *, reports_checkpoints: bool = False) -> None:
        executor = controller.record.workers._placement
        assert isinstance(executor, ScriptedExecutor)
        executor.reports_checkpoints = reports_checkpoints
        executor.disk = self.disk = Disk(executor, self._check)
        self.controller = controller
        self.in_flight = executor.in_flight
        self.stopping = executor.stopping
        self.notices = self.disk.notices
        self.most_at_once = 0
        self._executor = executor
        self._ports = Ports(self.disk, self.disk, self.disk, executor)
        self._dispatcher = Dispatcher(controller, self._ports)

    def carry_out(self, wanted: list[instructions.Instruction]) -> None:
        self._dispatcher.carry_out(wanted)
        self._check()

    def advance(self) -> None:
        self.carry_out(self.controller.advance())
        while self.controller.has_work:
            self.carry_out(self.controller.advance())

    def handle(self, event: WorkerEvent) -> None:
        self.carry_out(self.controller.handle(event))

    def reply(self, worker_id: int, reply: messages.Reply) -> None:
        self.in_flight[worker_id] = None
        self.handle(Replied(worker_id, reply))

    def answer_well(self, worker_id: int, last_iteration: int = 2) -> None:
        """The expected answer to the command in flight."""
        self.handle(Replied(worker_id, self._executor.answer(worker_id, last_iteration)))

    def exit(self, worker_id: int, code: int = 0, *, fate: str = KILLED) -> None:
        """A worker ends; its fate says whether the command in flight is done."""
        while worker_id in self.in_flight:
            self.handle(self._executor.end(worker_id, code, fate=fate))

    def trial_of(self, worker_id: int) -> Trial:
        return self.disk.trials[self._executor.trial_ids[worker_id]]

    def run_well(self, *, fate: str = KILLED, last_iteration: int = 2) -> None:
        """All goes well until the run ends; those who are told to stop end as ``fate`` says."""
        executor = self._executor
        executor.fate, executor.last_iteration, executor.turns_left = fate, last_iteration, 1000
        self.advance()
        ExperimentLoop(self.controller, self._ports).run(())

    def _check(self) -> None:
        serving = len(self.in_flight.keys() - self.stopping)
        self.most_at_once = max(self.most_at_once, serving)
        self.controller.validate()
        for trial in self.controller.trials:
            if not self._executor.inhabitants(trial.trial_id):
                self.disk.check(trial)


def statuses(controller: Controller) -> list[Status]:
    return [trial.status for trial in controller.trials]
