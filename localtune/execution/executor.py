"""Executor: the parent's side of the workers, as the controller sees it."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localtune.clock import AwakeClock, Clock
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.utils.signal_numbers import SIGKILL
from localtune.worker import messages

if TYPE_CHECKING:
    from localtune.config.sync import SyncConfig
    from localtune.utils.remote_store import RemoteStore
    from localtune.worker.program import WorkerProgram


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker ended.

    Attributes:
        exit_code: A negative one is the number of a signal; None is not known.
        note: The cause, if the executor knows it.
        crash_text: Python stack at a crash of native code.
        out_of_memory: Whether the machine had too little memory for all workers. Fewer workers at
            a time may succeed.
        no_room: Whether the system refused to start the worker. It may start when fewer run.
        node_lost: Whether the worker's machine is gone or cut off. That is no failure of its trial,
            which goes on elsewhere.
    """

    exit_code: int | None
    note: str = ""
    crash_text: str = ""
    out_of_memory: bool = False
    no_room: bool = False
    node_lost: bool = False

    def describe(self) -> str:
        """Returns a sentence for the user: the exit by name, and the likely cause."""
        if self.exit_code is None and self.note:
            return f"The worker process ended: {self.note}"
        if self.note and self.exit_code == -SIGKILL:
            # The note names the cause: there is no need to guess one.
            return f"The worker process was killed by SIGKILL: {self.note}"
        text = _describe_code(self.exit_code)
        return f"{text} ({self.note})" if self.note else text


_CAUSES = {
    "SIGKILL": "likely out of memory, or killed from outside",
    "SIGSEGV": "a crash in native code",
    "SIGBUS": "a crash in native code, or a full shared-memory file system",
    "SIGABRT": "native code gave up",
    "SIGILL": "native code built for another processor",
    "SIGFPE": "an arithmetic error in native code",
    "SIGTERM": "told to end from outside",
    "SIGINT": "interrupted from outside",
}


def _describe_code(exit_code: int | None) -> str:
    if exit_code is None:
        return "The worker process ended, how is not known"
    if exit_code >= 0:
        return f"The worker process ended by itself with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        return f"The worker process was killed by signal {-exit_code}"
    cause = _CAUSES.get(name)
    return f"The worker process was killed by {name}" + (f": {cause}" if cause else "")


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """An event of a worker.

    Attributes:
        worker_id: The worker.
    """

    worker_id: int


@dataclass(frozen=True, slots=True)
class Replied(WorkerEvent):
    """A worker has answered the command in flight."""

    reply: messages.Reply


@dataclass(frozen=True, slots=True)
class Exited(WorkerEvent):
    """A worker has ended, with all processes that it started. The last event of each worker."""

    exit: WorkerExit = field(default_factory=lambda: WorkerExit(None))


@dataclass(frozen=True, slots=True)
class Abilities:
    """The abilities that the class of an executor declares.

    The defaults describe an executor with one local process per worker.

    Attributes:
        own_processes: Whether each worker has a process that it shares with neither the parent nor
            another worker. Then a crash of user code ends one worker only, a result must survive
            pickling, and an environment variable of a trial is seen by this trial only.
        kills_workers: Whether ``stop_worker(..., force=True)`` ends a worker in the middle of a
            step.
        runs_in_parallel: Whether several workers compute at the same time, and the parent with
            them. Without it, ``wait`` returns only when a worker has finished its command.
        real_time: Whether time passes by itself. Without it, the clock moves only in ``wait``.
        shares_storage: Whether a path of the experiment names the same file in the parent and in
            the workers.
        uploads_checkpoints: Whether, for a run with remote storage, the machines of the workers
            bring their files there. Without it, the parent uploads what is in the experiment's
            directory.
        live_view: Whether the terminal belongs to the parent alone, so that a live view can be
            drawn there.
    """

    own_processes: bool = True
    kills_workers: bool = True
    runs_in_parallel: bool = True
    real_time: bool = True
    shares_storage: bool = True
    uploads_checkpoints: bool = False
    live_view: bool = True


_CLOCK = AwakeClock()


class Executor(ABC):
    """Runs workers. A subclass decides where: in processes, in this process, in a simulation.

    One thread calls all methods, except :meth:`wake`. The events of one worker arrive in order.
    Each command that was sent gets one ``Replied``, or the worker's ``Exited`` arrives instead.
    (A host that owns its process may go on by itself after ``Construct``, and after the end of a
    function. Its replies say so, and are passed on like all others.)
    After ``Exited`` a worker has no further events, and commands to it are dropped.

    Each worker is one :class:`~localtune.worker.host.TrainableHost`, and a process holds one host
    at a time: the host changes the working directory, the environment and the standard streams,
    which belong to the whole process.

    Attributes:
        abilities: The abilities of this executor.
    """

    abilities: Abilities = Abilities()

    @property
    def clock(self) -> Clock:
        """The time as the workers see it."""
        return _CLOCK

    # -- placement: see localtune.execution.slots.Placement ---------------------------------------

    @abstractmethod
    def resources(self) -> Mapping[str, float]:
        """Returns all resources, free or not. May be called before :meth:`open`.

        Returns:
            {name: amount}; ``memory`` is in bytes.
        """

    @abstractmethod
    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        """Reserves the resources of a request. Returns at once.

        Args:
            request: All bundles. A slot is one place. Bundles beyond the first are for processes
                that the trial starts; the executor may place them anywhere.

        Returns:
            The slot; None if there is no room now.
        """

    @abstractmethod
    def release(self, slot: Slot) -> None:
        """Takes back a slot whose worker has ended, or was never started."""

    def may_keep(self, slot: Slot) -> bool:
        """Returns whether a worker whose trial has ended may serve the next one in its slot.

        If not, the slot is to be released: somebody else comes first.
        """
        return True

    @abstractmethod
    def why_never(self, request: PlacementGroupFactory) -> str:
        """Returns why a request can never be met, for the user; "" if it can be some day.

        May be called before :meth:`open`. The answer may change during a run.
        """

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        """Returns why a request gets no slot although its resources are free; "" without a reason.

        The answer is a sentence for the user, with the remedy.
        """
        return ""

    # -- workers ----------------------------------------------------------------------------------

    @abstractmethod
    def open(
        self, program: WorkerProgram, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        """Prepares a run.

        Args:
            program: The trainable class. ``program.to_bytes()`` is its pickle, with all data;
                :func:`localtune.worker.program.load_program_bytes` loads that in a worker.
            on_output: Called by :meth:`wait` and :meth:`close` as ``on_output(lines, trial_id)``
                with whole lines that workers print. The id is "" for lines that are printed
                before there is a trial. With None, and on platforms that cannot do this, workers
                print to the output of this process.

        Raises:
            TypeError: if the program cannot be pickled.
        """

    def use_directory(
        self, path: str, store: RemoteStore | None = None, sync: SyncConfig | None = None
    ) -> None:
        """Tells, before :meth:`open`, the directory of the next run's experiment, which exists.

        An executor with workers on other machines proves in ``open`` that they see it, or that
        they reach the store.

        Args:
            path: The directory; with a store, its working copy on this machine.
            store: The experiment's place in its remote storage; None without one.
            sync: How files are uploaded to the store; None is the default.
        """
        return

    def expect_imports(self, imports: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        """Tells, before :meth:`open`, what trials of the next run will import; a hint.

        Args:
            imports: Modules, each with the names that are imported from it.
        """
        return

    @abstractmethod
    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        """Starts a worker and sends its first command.

        Args:
            worker_id: An id that was never used in this run.
            command: Names the trial. Its assignment has the variables of the slot.
            slot: The slot that :meth:`reserve` returned.

        Raises:
            WorkerStartError: if the worker cannot be started.
        """

    @abstractmethod
    def send(self, worker_id: int, command: messages.Command) -> None:
        """Sends a command to a worker.

        Args:
            worker_id: A worker that has no command in flight.
            command: The command.
        """

    @abstractmethod
    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        """Ends a worker; its ``Exited`` event follows.

        A save in flight is done and answered first, unless the worker is killed.

        Args:
            worker_id: The worker, which may have a command in flight.
            reason: The reason, for the log.
            force: Whether to kill it at once, or to let it clean up first, within time limits.
        """

    @abstractmethod
    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        """Waits for events; returns early and empty after :meth:`wake` or a timeout."""

    @abstractmethod
    def wake(self) -> None:
        """Ends a wait early. May be called from any thread and from signal handlers."""

    @abstractmethod
    def close(self) -> None:
        """Ends all workers and takes back all slots. The executor may be opened again."""

    def process_ids(self) -> dict[int, int]:
        """Returns {worker id: process id} of the running workers."""
        return {}
