"""A run without processes and files: workers that answer what a test says, and a pretended disk.

The disk knows which checkpoints lie in a trial's directory, and what is half-written there. What
no instruction may do is asserted while instructions are carried out.
"""

from __future__ import annotations

from typing import Any

from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.execution.executor import Exited, Replied, WorkerExit
from localtune.execution.local_slots import LocalSlots
from localtune.result import SHOULD_CHECKPOINT
from localtune.schedulers import FIFOScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.stopper.stopper import Stopper
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.settings import make_settings

# How a worker can end that has been told to stop, or dies.
FINISHES, KILLED, KILLED_LATE = "finishes", "killed", "killed late"
FATES = (FINISHES, KILLED, KILLED_LATE)


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
    return Controller(
        make_settings(request, **options),
        searcher,
        scheduler or FIFOScheduler(),
        stopper or NoopStopper(),
        LocalSlots(cpus, 0),
        clock or ManualClock(),
    )


class Disk:
    """What lies in the directories of the trials."""

    def __init__(self) -> None:
        self.checkpoints: dict[str, set[str]] = {}  # {trial id: paths}
        self.half_written: dict[str, bool] = {}

    def commit(self, trial: Trial, index: int) -> str:
        path = f"{trial.experiment_path}/{trial.trial_id}/checkpoint_{index:06d}"
        assert path not in recorded(trial), "a checkpoint on record is overwritten"
        self.checkpoints.setdefault(trial.trial_id, set()).add(path)
        return path

    def tidy(self, trial: Trial) -> None:
        self.checkpoints.setdefault(trial.trial_id, set()).intersection_update(recorded(trial))
        self.half_written[trial.trial_id] = False

    def remove(self, path: str) -> None:
        for paths in self.checkpoints.values():
            paths.discard(path)

    def has(self, path: str) -> bool:
        return any(path in paths for paths in self.checkpoints.values())

    def check(self, trial: Trial) -> None:
        """Checks a directory in which no worker is: it holds the checkpoints on record."""
        assert self.checkpoints.get(trial.trial_id, set()) == recorded(trial), trial
        assert not self.half_written.get(trial.trial_id), trial
        own = sorted(recorded(trial))
        if not trial.is_cloned:
            latest = trial.checkpoint.path if trial.checkpoint is not None else None
            assert latest == (own[-1] if own else None), trial


def recorded(trial: Trial) -> set[str]:
    return {each.checkpoint.path for each in trial.checkpoints}


class Workers:
    """Workers without processes: they answer what a script, or a choice, says.

    Args:
        controller: Its instructions are carried out.
        reports_checkpoints: Whether each result comes with a checkpoint, as functions do it.
    """

    def __init__(self, controller: Controller, *, reports_checkpoints: bool = False) -> None:
        self.controller = controller
        self.disk = Disk()
        self.in_flight: dict[int, messages.Command | None] = {}  # {worker id: command}
        self.stopping: set[int] = set()
        self.iterations: dict[int, int] = {}
        self.notices: list[tuple[str, str]] = []  # (hook, trial id)
        self.trial_of: dict[int, Trial] = {}
        self.most_at_once = 0
        self._reports_checkpoints = reports_checkpoints
        self._next_index: dict[int, int] = {}  # {worker id: number of its next checkpoint}
        self._reported: dict[int, str] = {}  # {worker id: path of its latest checkpoint}

    # -- instructions -----------------------------------------------------------------------------

    def carry_out(self, wanted: list[instructions.Instruction]) -> None:
        for each in wanted:
            self._carry_out_one(each)
        serving = len(self.in_flight.keys() - self.stopping)
        self.most_at_once = max(self.most_at_once, serving)
        self.controller.validate()
        if not self.in_flight:
            for trial in self.controller.trials:
                self.disk.check(trial)

    def _carry_out_one(self, each: instructions.Instruction) -> None:
        if isinstance(each, instructions.PrepareTrial):
            self._prepare(each.trial)
        elif isinstance(each, instructions.StartWorker):
            if self.controller.is_ending:
                self.carry_out(self.controller.forget_worker(each.worker_id))
                return
            assert each.worker_id not in self.in_flight
            self._assign(each.worker_id, each.trial, messages.Construct(None))  # type: ignore[arg-type]
        elif isinstance(each, instructions.ResetWorker):
            if not self.controller.is_ending:
                assert self.in_flight[each.worker_id] is None, "a command is in flight"
                self._assign(each.worker_id, each.trial, messages.Reset(None))  # type: ignore[arg-type]
        elif isinstance(each, instructions.Send):
            if not self.controller.is_ending:
                assert self.in_flight[each.worker_id] is None, "a command is in flight"
                assert each.worker_id not in self.stopping
                self.in_flight[each.worker_id] = each.command
        elif isinstance(each, instructions.StopWorker):
            assert each.worker_id not in self.stopping, "stopped twice"
            if each.worker_id in self.in_flight:
                self.stopping.add(each.worker_id)
        elif isinstance(each, instructions.TidyTrial):
            assert not self._inhabitants(each.trial), "a worker is where it is tidied"
            self.disk.tidy(each.trial)
        elif isinstance(each, instructions.DeleteCheckpoint):
            self.disk.remove(each.tracked.checkpoint.path)
        elif isinstance(each, instructions.Notify):
            self.notices.append((each.hook, each.trial.trial_id))

    def _prepare(self, trial: Trial) -> None:
        trial.dirname = trial.trial_id
        assert len(self._inhabitants(trial)) <= 1
        point = trial.resume_point
        if point is not None and point.owner_id is not None:
            assert self.disk.has(point.tracked.checkpoint.path), "nothing to go on from"

    def _inhabitants(self, trial: Trial) -> list[int]:
        """Workers that are, or may be, in a trial's directory."""
        return [each for each in self.in_flight if self.trial_of[each] is trial]

    def _assign(self, worker_id: int, trial: Trial, command: messages.Command) -> None:
        assert not set(self._inhabitants(trial)) - {worker_id}, "two workers in one directory"
        self.in_flight[worker_id] = command
        self.trial_of[worker_id] = trial
        self.iterations[worker_id] = 0
        self._next_index[worker_id] = trial.next_checkpoint_index
        self._reported.pop(worker_id, None)

    # -- events -----------------------------------------------------------------------------------

    def advance(self) -> None:
        self.carry_out(self.controller.advance())
        while self.controller.has_work:
            self.carry_out(self.controller.advance())

    def reply(self, worker_id: int, reply: messages.Reply) -> None:
        self.in_flight[worker_id] = None
        self.carry_out(self.controller.handle(Replied(worker_id, reply)))

    def exit(self, worker_id: int, code: int = 0, *, fate: str = KILLED) -> None:
        """A worker ends; its fate says whether the command in flight is done."""
        command = self.in_flight[worker_id]
        is_writing = isinstance(command, messages.Save) or (
            self._reports_checkpoints and isinstance(command, messages.Train)
        )
        if command is not None and fate == FINISHES:
            self.answer_well(worker_id)
        elif is_writing and fate == KILLED_LATE:
            self._commit(worker_id)
        elif is_writing:
            self.disk.half_written[self.trial_of[worker_id].trial_id] = True
        del self.in_flight[worker_id]
        self.stopping.discard(worker_id)
        self.carry_out(self.controller.handle(Exited(worker_id, WorkerExit(code))))

    def answer_well(self, worker_id: int, last_iteration: int = 2) -> None:
        """The expected answer to the command in flight."""
        command = self.in_flight[worker_id]
        if isinstance(command, messages.Construct):
            self.reply(worker_id, messages.Ready({"pid": 1}))
        elif isinstance(command, messages.Reset):
            self.reply(worker_id, messages.ResetDone(True, {"pid": 1}))
        elif isinstance(command, messages.Train):
            self.iterations[worker_id] += 1
            done = self.iterations[worker_id] >= last_iteration
            result = self.result(worker_id, done=done)
            if self._reports_checkpoints:
                self._commit(worker_id)
                result[SHOULD_CHECKPOINT] = True
            self.reply(worker_id, messages.Trained(result))
        elif isinstance(command, messages.Save):
            if not self._reports_checkpoints:
                self._commit(worker_id)
            path, index = self._reported[worker_id], self._next_index[worker_id]
            self.reply(worker_id, messages.Saved(path, self.result(worker_id), next_index=index))
        elif isinstance(command, messages.Restore):
            self.iterations[worker_id] = command.metrics.get("training_iteration", 0)
            self._reported[worker_id] = command.path
            self.reply(worker_id, messages.Restored())
        elif isinstance(command, messages.Export):
            self.reply(worker_id, messages.Exported({}))

    def _commit(self, worker_id: int) -> None:
        index = self._next_index[worker_id]
        self._next_index[worker_id] = index + 1
        self._reported[worker_id] = self.disk.commit(self.trial_of[worker_id], index)

    def result(self, worker_id: int, *, done: bool = False) -> dict[str, Any]:
        return {"loss": 1.0, "training_iteration": self.iterations[worker_id], "done": done}

    def run_well(self, *, fate: str = KILLED, last_iteration: int = 2) -> None:
        """All goes well until the run ends; those who are told to stop end as ``fate`` says."""
        for _ in range(1000):
            self.advance()
            if self.controller.is_done:
                return
            if not self.in_flight:
                self._let_time_pass()
                continue
            worker_id = next(iter(self.stopping), None) or next(iter(self.in_flight))
            if worker_id in self.stopping:
                self.exit(worker_id, fate=fate)
            else:
                busy = [each for each, command in self.in_flight.items() if command is not None]
                self.answer_well(busy[0] if busy else worker_id, last_iteration)
        raise AssertionError("the run does not end")

    def _let_time_pass(self) -> None:
        seconds, clock = self.controller.seconds_left(), self.controller._clock
        assert seconds is not None, "nothing will happen any more"
        assert isinstance(clock, ManualClock)
        clock.advance(seconds)


def statuses(controller: Controller) -> list[Status]:
    return [trial.status for trial in controller.trials]
