"""Workers that try a trainable outside of a run, one command at a time, with a time limit.

Subject (the trainable, pickled)
Bench (executor, temporary directory, deadline)
  +-- Worker --construct, train, save, restore, reset--> reply
                                                    |--> Fault       it failed, or ended
                                                    |--> Unanswered  it takes too long
                                                    +--> OutOfTime   no time is left
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from localtune.execution import machine
from localtune.execution.executor import Exited, Replied, WorkerExit
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.process.memory_usage import tree_bytes
from localtune.execution.slots import Placement as Placement
from localtune.resources import PlacementGroupFactory, resource_dict_to_pg_factory
from localtune.running.probe import probed
from localtune.search.variant_generator import generate_variants
from localtune.trainable.function_trainable import wrap_function
from localtune.trainable.parameters import check_with_parameters
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import is_function_trainable
from localtune.trial.trial import Trial
from localtune.worker import messages
from localtune.worker.assignment import assignment_of
from localtune.worker.program import WorkerProgram

# Equal seeds, so that two trials draw the same random numbers.
SEED = 1
# Between two looks at the memory of a worker.
_LOOK_S = 0.05
# How long user code may take to end when it is told to.
STOP_TIMEOUT_S = 5.0
_KILL_TIMEOUT_S = 2.0
_LAST_OUTPUT_BYTES = 2000


@dataclass(frozen=True)
class Subject:
    """A trainable that a bench can try; made by :func:`subject_of`.

    Attributes:
        trainable: Its class.
        program: What workers get.
        size_bytes: Size of the pickled trainable.
        is_function: Whether it is a function in a class of localtune.
    """

    trainable: type[Trainable]
    program: WorkerProgram
    size_bytes: int
    is_function: bool

    def resources_of(self, config: dict[str, Any]) -> PlacementGroupFactory:
        """Returns the resources that a trial asks for; calls code of the user."""
        return resource_dict_to_pg_factory(self.trainable.default_resource_request(config))


def subject_of(trainable: Callable[..., Any]) -> Subject:
    """Prepares a trainable for a bench.

    Args:
        trainable: Function or class.

    Raises:
        NotTrainableError: for a class that does not derive from Trainable, or a function with
            other arguments than a config.
        TypeError: if it cannot be pickled.
    """
    if not isinstance(trainable, type):
        try:
            trainable = wrap_function(trainable)
        except ValueError as error:
            raise NotTrainableError(str(error)) from error
    elif not issubclass(trainable, Trainable):
        raise NotTrainableError(f"The class {trainable.__name__} does not derive from Trainable.")
    # An error is to name the trainable itself, not its probe.
    size_bytes = check_with_parameters(trainable)
    program = WorkerProgram(probed(trainable))
    return Subject(trainable, program, size_bytes, is_function_trainable(trainable))


def two_configs(space: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draws two configurations of a search space; they differ if the space has different ones.

    Raises:
        SearchSpaceError: for a space that cannot be sampled.
    """
    grids = islice(generate_variants(space, random_state=0), 8)
    samples = (next(generate_variants(space, random_state=seed)) for seed in range(1, 8))
    variants = chain(grids, samples)
    first = next(variants)
    if not first.evaluated:
        return first.config, next(samples).config
    shown = repr(first.evaluated)
    second = next((each for each in variants if repr(each.evaluated) != shown), first)
    return first.config, second.config


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that a worker has saved.

    Attributes:
        path: Its directory, None if there was nothing to save.
        metrics: The result that it belongs to.
        files: {name: size in bytes} of the files in the directory.
    """

    path: str | None
    metrics: dict[str, Any]
    files: dict[str, int]


@dataclass(frozen=True)
class Ending:
    """The end of a worker.

    Attributes:
        fault: The failure of its cleanup, None without one.
        exit_code: Of its process; None if that is not known.
        text: How it ended, in a clause.
    """

    fault: Fault | None
    exit_code: int | None
    text: str


class NotTrainableError(Exception):
    """Raised for a class or a function that is no trainable."""


class OutOfTime(Exception):
    """Raised when the time for the whole check is over.

    Attributes:
        command: Name of the command that was not answered.
    """

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self.command = command


class Unanswered(Exception):
    """Raised when one command takes longer than it may."""


class Fault(Exception):
    """Raised when a worker fails to carry out a command.

    Attributes:
        type_name: Class of the exception of user code; "" if the process ended.
        text: The failure, in a sentence.
        message: Text of the exception of user code; "" if the process ended.
        hint: Advice of the worker, "" if it has none.
        details: Traceback, or the last output of the process.
    """

    def __init__(
        self,
        text: str,
        type_name: str = "",
        hint: str = "",
        details: str = "",
        message: str = "",
    ) -> None:
        super().__init__(text)
        self.text = text
        self.message = message
        self.type_name = type_name
        self.hint = hint
        self.details = details


class Bench:
    """Starts workers for one trainable; a context manager.

    Args:
        subject: The trainable.
        timeout_s: Seconds for the whole check.

    Attributes:
        slots: Resources of the machine.
        directory: Temporary directory of all workers.
    """

    def __init__(self, subject: Subject, timeout_s: float) -> None:
        self._program = subject.program
        self._deadline = time.monotonic() + timeout_s
        self._executor = ProcessExecutor(
            stop_timeout_s=STOP_TIMEOUT_S, kill_timeout_s=_KILL_TIMEOUT_S
        )
        self._replies: dict[int, list[messages.Reply]] = {}
        self._exits: dict[int, WorkerExit] = {}
        self._count = 0
        self.slots = self._executor.slots
        self.directory = ""

    def __enter__(self) -> Bench:
        # Short: paths of sockets below it must not become too long.
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="lt-check-"))
        try:
            # The report leaves out what the trainable's module prints while it is imported.
            self._executor.open(self._program, lambda text, trial_id: None)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._executor.close()
        finally:
            self._remove()

    def start(
        self, trial: str, config: Mapping[str, Any], resources: PlacementGroupFactory
    ) -> Worker:
        """Starts a worker for a trial and waits until it is ready.

        Args:
            trial: Id of the trial; workers that serve one after the other may have the same.
            config: Its configuration.
            resources: Resources that it asks for.

        Raises:
            Fault: if the trainable cannot be set up.
            OutOfTime: if that takes too long.
        """
        self._count += 1
        worker = Worker(self, self._count, resources)
        assignment = worker.assignment(trial, config)
        self._executor.start_worker(worker.worker_id, messages.Construct(assignment), worker.slot)
        worker.answer("setup")
        return worker

    def ask(
        self, worker: Worker, command: messages.Command, name: str, limit_s: float = math.inf
    ) -> messages.Reply:
        """Sends a command and waits for its reply.

        Args:
            worker: The worker.
            command: The command.
            name: Name of the command in errors.
            limit_s: Most seconds that it may take.

        Raises:
            Exception: as :meth:`answer`.
        """
        self._executor.send(worker.worker_id, command)
        return self.answer(worker, name, limit_s)

    def answer(self, worker: Worker, name: str, limit_s: float = math.inf) -> messages.Reply:
        """Waits for a reply.

        Args:
            worker: The worker that was asked.
            name: Name of the command in errors.
            limit_s: How many seconds this command may take.

        Raises:
            Fault: if the worker failed, or ended.
            Unanswered: if the limit is over.
            OutOfTime: if the time for everything is over.
        """
        worker_id = worker.worker_id
        limit = time.monotonic() + limit_s
        while not self._replies.get(worker_id) and worker_id not in self._exits:
            left_s = min(self._deadline, limit) - time.monotonic()
            if left_s <= 0:
                raise Unanswered(name) if limit < self._deadline else OutOfTime(name)
            self._take_in(min(left_s, _LOOK_S))
            worker.look(self._executor.process_ids().get(worker_id))
        replies = self._replies.get(worker_id)
        if not replies:
            exit = self._exits[worker_id]
            details = exit.crash_text or worker.last_output()
            raise Fault(f"{name}: {exit.describe()}.", details=details)
        reply = replies.pop(0)
        if isinstance(reply, messages.Failed):
            raise _fault_of(name, reply)
        return reply

    @staticmethod
    def memory_left_bytes() -> int:
        """Returns the bytes of memory that trials may still take."""
        return machine.memory_left_bytes()

    def end(self, worker: Worker, *, force: bool) -> Ending:
        """Stops a worker within the time limits of the executor.

        Args:
            worker: The worker.
            force: Whether its process is killed, without a cleanup.
        """
        worker_id = worker.worker_id
        if worker_id not in self._exits:
            self._executor.stop_worker(worker_id, "the check is done with it", force=force)
        give_up_at = time.monotonic() + 2 * (STOP_TIMEOUT_S + _KILL_TIMEOUT_S)
        while worker_id not in self._exits and time.monotonic() < give_up_at:
            self._take_in(_LOOK_S)
        replies = self._replies.get(worker_id)
        last = replies[-1] if replies else None
        fault = _fault_of("cleanup", last) if isinstance(last, messages.Failed) else None
        exit = self._exits.get(worker_id, WorkerExit(None, "it cannot be ended"))
        return Ending(fault, exit.exit_code, exit.describe())

    def _take_in(self, timeout_s: float) -> None:
        for event in self._executor.wait(timeout_s):
            if isinstance(event, Replied):
                self._replies.setdefault(event.worker_id, []).append(event.reply)
            elif isinstance(event, Exited):
                self._exits[event.worker_id] = event.exit

    def _remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


class Worker:
    """One worker process.

    Attributes:
        worker_id: Its number.
        slot: The resources that it may use.
        pid: Its process id, once it is known.
        peak_bytes: The most memory that it and its children were seen to hold.
        temporary_dir: Directory of the temporary files of its trials.
    """

    def __init__(self, bench: Bench, worker_id: int, resources: PlacementGroupFactory) -> None:
        self.worker_id = worker_id
        self.pid: int | None = None
        self.peak_bytes = 0
        self.temporary_dir = os.path.join(bench.directory, f"t{worker_id}")
        os.mkdir(self.temporary_dir)
        self._bench = bench
        self._resources = resources
        # Each worker may use the whole machine, because the one before it may still be ending.
        bench.slots.clear()
        slot = bench.slots.reserve(resources)
        assert slot is not None, "check_request has found that it fits"
        self.slot = slot
        self._trial_dir = ""
        self._trials = 0

    def assignment(self, trial: str, config: Mapping[str, Any]) -> messages.Assignment:
        """Makes the assignment of a trial, with a directory of its own.

        Args:
            trial: Id of the trial.
            config: Its configuration.
        """
        self._trials += 1
        directory = self._bench.directory
        self._trial_dir = os.path.join(directory, f"trial_{self.worker_id}_{self._trials}")
        os.mkdir(self._trial_dir)
        served = Trial(
            "check",
            trial_id=trial,
            config=dict(config),
            experiment_path=directory,
            placement_group_factory=self._resources,
            log_to_file=("stdout", "stderr"),
            seed=SEED,
        )
        served.dirname = os.path.basename(self._trial_dir)
        return assignment_of(served, {**self.slot.environment, "TMPDIR": self.temporary_dir})

    def answer(self, name: str) -> messages.Reply:
        """Waits for a reply; see :meth:`Bench.answer`."""
        return self._bench.answer(self, name)

    def train(self) -> dict[str, Any]:
        """Trains for one iteration; returns the result."""
        reply = self._bench.ask(self, messages.Train(), "step")
        assert isinstance(reply, messages.Trained)
        return reply.result

    def save(self) -> SavedCheckpoint:
        """Saves a checkpoint."""
        reply = self._bench.ask(self, messages.Save(), "save")
        assert isinstance(reply, messages.Saved)
        return SavedCheckpoint(reply.path, reply.metrics, reply.files)

    def restore(self, path: str, metrics: dict[str, Any]) -> None:
        """Restores a checkpoint.

        Args:
            path: Directory of the checkpoint.
            metrics: The result that it belongs to.
        """
        self._bench.ask(self, messages.Restore(path, metrics), "restore")

    def reset(self, trial: str, config: Mapping[str, Any], limit_s: float) -> bool:
        """Gives the worker another trial; returns False if the trainable cannot do that.

        Args:
            trial: Id of the trial.
            config: Its configuration.
            limit_s: How many seconds it may take.
        """
        command = messages.Reset(self.assignment(trial, config))
        reply = self._bench.ask(self, command, "reset_config", limit_s)
        assert isinstance(reply, messages.ResetDone)
        return reply.accepted

    def end(self, *, force: bool = True) -> Ending:
        """Ends the process; see :meth:`Bench.end`."""
        return self._bench.end(self, force=force)

    def look(self, pid: int | None) -> None:
        """Notes how much memory the worker holds now."""
        if pid is not None:
            self.pid = pid
            self.peak_bytes = max(self.peak_bytes, tree_bytes(pid))

    def last_output(self) -> str:
        """Returns the end of the worker's standard error."""
        try:
            with open(os.path.join(self._trial_dir, "stderr"), errors="replace") as file:
                return file.read()[-_LAST_OUTPUT_BYTES:]
        except OSError:
            return ""


def _fault_of(name: str, reply: messages.Failed) -> Fault:
    return Fault(
        f"{name} raised {reply.type_name}: {reply.message}",
        reply.type_name,
        reply.hint,
        reply.traceback_text,
        reply.message,
    )
