"""ProcessExecutor: one process per worker, a pipe to each.

::

      controller          ProcessExecutor                       Launcher
          | start_worker        |  launch                           |
          |-------------------->|---------------------------------->|  process
          |                     |<=== pipe =======================> worker
          | send                |
          |-------------------->|
          | wait                |  one blocking wait on all pipes, on the launcher's sources,
          |-------------------->|  on the wake-up pipe, until the next deadline
          |<--------------------|  Replied, Exited
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from localtune.config.user_settings import has_settings
from localtune.error import WorkerStartError
from localtune.execution import machine
from localtune.execution.executor import Exited, Replied, WorkerEvent, WorkerExit
from localtune.execution.local_slots import LocalExecutor
from localtune.execution.process.deadlines import Deadlines, Step
from localtune.execution.process.descriptors import Descriptors
from localtune.execution.process.launcher import Launcher, Program
from localtune.execution.process.memory_watch import MemoryWatch, check_settings
from localtune.execution.process.outbox import Outbox, make_outbox
from localtune.execution.process.output_pipe import OutputPipe
from localtune.execution.process.program_files import write_program
from localtune.execution.process.standard_output import StandardOutput
from localtune.execution.process.start_methods import START_METHODS, make_launcher
from localtune.execution.process.waiter import Waiter
from localtune.execution.slots import Slot
from localtune.utils.messages import get_logger
from localtune.utils.private_dir import PrivateDir
from localtune.utils.signal_numbers import SIGKILL
from localtune.worker import messages
from localtune.worker.crash import take_crash
from localtune.worker.pipe import MessagePipe, message_pipe
from localtune.worker.program import WorkerProgram

if TYPE_CHECKING:
    from localtune.execution.shared.shared_slots import SharedSlots

logger = get_logger(__name__)

# A worker that still lives so long after it has closed its pipe is killed.
_SILENT_EXIT_S = 1.0
# The end of a killed worker is reported within this time, unless its launcher hangs.
_CLOSE_TIMEOUT_S = 10.0
# Errors of a system that refuses one more process or descriptor.
_SHORTAGES = (
    errno.EMFILE,
    errno.ENFILE,
    errno.EAGAIN,
    errno.ENOMEM,
    getattr(errno, "ETOOMANYREFS", errno.EMFILE),
)


class ProcessExecutor(LocalExecutor):
    """Runs each worker in a process of its own.

    Args:
        num_cpus: CPUs to share; None is what this process may use (affinity and cgroup quota
            counted in).
        num_gpus: GPUs to share; None is what ``CUDA_VISIBLE_DEVICES`` or the driver shows.
        resources: Further resources, ``{name: amount}``. The default of ``memory`` (bytes) is the
            machine's.
        start_method: ``"template"`` forks workers from a warm process (Linux), ``"spawn"``
            starts fresh interpreters, ``"portable"`` does so with functions that every platform
            has; None takes the best method that works here.
        preload: Modules that the template imports in place of the trainable's own, and of those
            that its code imports when it runs. ``[]`` imports nothing: each worker loads the
            trainable by itself.
        stop_timeout_s: Most seconds in which a stopped worker may finish its step and clean up;
            then it gets SIGTERM, and after ``kill_timeout_s`` SIGKILL.
        kill_timeout_s: See ``stop_timeout_s``.
        memory_check_s: Seconds between two checks of memory; None makes none. A worker that holds
            more than its trial has requested (``resources={"memory": bytes}``) is killed. While
            the machine is short of memory, the youngest large worker is killed, one at a time.
        memory_reserve_bytes: The machine is short of memory when fewer bytes are left; 0 is never.
            None is 3 % of its memory, at least 200 MiB (or 10 %) and at most 2 GiB.
        shared: Whether this sweep takes its resources from a ledger, together with other sweeps on
            this machine that do. True is the ledger of this user, a path the directory of a group.
            None is what ``~/.config/localtune/settings.toml`` says, else False.

    Raises:
        ValueError: for an amount that makes no sense or an unknown start method.
        LedgerError: if the ledger cannot be used.

    Example:
        >>> import localtune as tune
        >>> executor = tune.ProcessExecutor(num_cpus=2, preload=["json"])
        >>> tuner = tune.Tuner(train_fn, executor=executor)  # doctest: +SKIP
    """

    def __init__(
        self,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        start_method: str | None = None,
        preload: Sequence[str] | None = None,
        *,
        stop_timeout_s: float = 10.0,
        kill_timeout_s: float = 5.0,
        memory_check_s: float | None = 1.0,
        memory_reserve_bytes: float | None = None,
        shared: bool | str | os.PathLike[str] | None = None,
    ) -> None:
        shared_slots: SharedSlots | None = None
        if shared is not False and (shared is not None or has_settings()):
            from localtune.execution.shared.choice import make_slots

            shared_slots = make_slots(shared, num_cpus, num_gpus, resources)
        super().__init__(num_cpus, num_gpus, resources, shared_slots)
        if start_method is not None and start_method not in START_METHODS:
            raise ValueError(
                f"start_method must be None or one of {', '.join(map(repr, START_METHODS))}, "
                f"but got {start_method!r}."
            )
        if isinstance(preload, str):
            raise ValueError(f"preload must be a list of module names, but got {preload!r}.")
        check_settings(memory_check_s, memory_reserve_bytes)
        self._shared_slots = shared_slots
        self._start_method = start_method
        self._preload = None if preload is None else tuple(preload)
        self._imports: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self._stop_timeout_s = stop_timeout_s
        self._kill_timeout_s = kill_timeout_s
        self._memory_check_s = memory_check_s
        self._memory_reserve_bytes = memory_reserve_bytes
        self._memory_watch: MemoryWatch | None = None
        self._workers: dict[int, _Worker] = {}
        self._deadlines = Deadlines()
        self._descriptors = Descriptors()
        self._events: list[WorkerEvent] = []
        self._private_dir: PrivateDir | None = None
        self._waiter: Waiter | None = None
        self._launcher: Launcher | None = None
        self._on_output: Callable[[str, str], None] | None = None
        self._output_pipe: OutputPipe | None = None  # of processes that serve no trial yet
        self._standard_output: StandardOutput | None = None

    def expect_imports(self, imports: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self._imports = tuple(imports)

    def open(
        self, program: WorkerProgram | bytes, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        if self._waiter is not None:
            raise RuntimeError(
                "This executor serves another run at the moment: give each run its own."
            )
        imports, self._imports = self._imports, ()
        self._private_dir = PrivateDir()
        self._descriptors = Descriptors()
        self.slots.limit(*self._descriptors.most_workers())
        if self._memory_check_s is not None:
            self._memory_watch = MemoryWatch(self._memory_check_s, self._memory_reserve_bytes)
        use_poll = self._start_method != "portable" and hasattr(select, "poll")
        self._waiter = Waiter(use_poll=use_poll)
        try:
            path = write_program(program, self._private_dir)
            outputs = self._open_outputs(on_output if use_poll else None)
            lease_fd = self._shared_slots.open() if self._shared_slots is not None else None
            self._launcher = make_launcher(
                self._start_method,
                Program(path, self._private_dir.path, self._preload, imports, outputs, lease_fd),
                self._waiter,
                self._on_exit,
            )
        except BaseException:
            self.close()
            raise

    def _open_outputs(self, on_output: Callable[[str, str], None] | None) -> tuple[int, int] | None:
        """Opens descriptors for the output of processes that serve no trial, or of all."""
        assert self._waiter is not None
        if on_output is not None:
            self._on_output = on_output
            self._output_pipe = OutputPipe(self._waiter, on_output)
            return self._output_pipe.write_fd, self._output_pipe.write_fd
        if sys.platform == "win32":
            return None
        self._standard_output = StandardOutput()
        return self._standard_output.fds

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        assert self._launcher is not None and self._waiter is not None
        self._descriptors.make_room(len(self._workers) + 1)
        environment = machine.thread_environment(slot.cpus)
        output: OutputPipe | None = None
        try:
            if self._on_output is not None:
                trial_id = command.assignment.trial.trial_id
                output = OutputPipe(self._waiter, self._on_output, trial_id)
            output_fd = output.write_fd if output is not None else None
            connection = self._launcher.launch(worker_id, environment, output_fd)
        except OSError as error:
            if output is not None:
                output.close()
            problem = WorkerStartError(f"A worker process could not be started: {error}")
            problem.is_shortage = error.errno in _SHORTAGES
            raise problem from error
        pipe = message_pipe(connection)
        outbox = make_outbox(self._waiter, pipe.fileno(), pipe.write)
        worker = _Worker(worker_id, pipe, outbox, output)
        self._note_assignment(worker_id, command.assignment)
        self._workers[worker_id] = worker
        self._waiter.register(worker.pipe, partial(self._on_readable, worker))
        self._send(worker, command)

    def send(self, worker_id: int, command: messages.Command) -> None:
        worker = self._workers.get(worker_id)
        if worker is not None:
            if isinstance(command, messages.Reset):
                self._note_assignment(worker_id, command.assignment)
                if worker.output is not None:
                    worker.output.next_source(command.assignment.trial.trial_id)
            self._send(worker, command)

    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        worker = self._workers.get(worker_id)
        if worker is None:
            return
        assert self._launcher is not None
        logger.debug("Worker %d is stopped: %s", worker_id, reason)
        if force:
            self._kill(worker)
            return
        if worker.is_stopping or self._launcher.withdraw(worker_id):
            return
        worker.is_stopping = True
        self._deadlines.set(worker_id, self._stop_timeout_s, Step.TERMINATE)
        self._send(worker, messages.Stop())

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        assert self._waiter is not None and self._launcher is not None
        check_s = self._watch_memory()
        look_s = self._launcher.look_after_start()
        room_s = self._shared_slots.look_after() if self._shared_slots is not None else None
        if not self._events:
            due_s = self._deadlines.seconds_left()
            times = (check_s, look_s, room_s, timeout_s, due_s)
            limits = [each for each in times if each is not None]
            self._waiter.wait(min(limits, default=None))
            if due_s is not None:
                self._enforce_deadlines()
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake()

    def close(self) -> None:
        if self._waiter is None:
            return
        for worker_id in list(self._workers):
            self.stop_worker(worker_id, "the executor is closed", force=True)
        left, give_up_at = len(self._workers), time.monotonic() + _CLOSE_TIMEOUT_S
        while self._workers and time.monotonic() < give_up_at:
            self._waiter.wait(max(give_up_at - time.monotonic(), 0.0))
            if len(self._workers) < left:
                left, give_up_at = len(self._workers), time.monotonic() + _CLOSE_TIMEOUT_S
        # A launcher that hangs, stopped by a debugger for instance, is killed.
        if self._launcher is not None:
            self._launcher.close()
        for worker in self._workers.values():
            self._close_pipe(worker)
            worker.close_output()
        self._workers.clear()
        self._deadlines = Deadlines()
        if self._output_pipe is not None:
            self._output_pipe.close()
            self._output_pipe = None
        if self._standard_output is not None:
            self._standard_output.close()
            self._standard_output = None
        self._on_output = None
        waiter, self._waiter, self._launcher = self._waiter, None, None
        self._memory_watch = None
        waiter.close()
        self._descriptors.close()
        self._events = []
        self.slots.clear()
        if self._private_dir is not None:
            self._private_dir.remove()
            self._private_dir = None

    def process_ids(self) -> dict[int, int]:
        return self._launcher.process_ids() if self._launcher is not None else {}

    # -- pipes ----------------------------------------------------------------------------------

    def _send(self, worker: _Worker, command: messages.Command) -> None:
        # The descriptor of a pipe that is closed may be another one's by now.
        if not worker.pipe.closed:
            worker.outbox.send(worker.pipe.frame(messages.encode(command)))

    def _on_readable(self, worker: _Worker) -> None:
        try:
            replies = worker.pipe.receive_ready()
        except (EOFError, OSError):
            self._close_pipe(worker)
            # The kernel closes the pipe of a dying process a moment before it reports its end.
            self._deadlines.set(worker.worker_id, _SILENT_EXIT_S, Step.KILL)
            return
        self._take_in(worker, replies)

    def _take_in(self, worker: _Worker, replies: list[bytes]) -> None:
        self._events.extend(self._event_of(worker.worker_id, each) for each in replies)

    def _event_of(self, worker_id: int, data: bytes) -> WorkerEvent:
        """Hook: returns the event for the bytes of a reply."""
        return Replied(worker_id, messages.read_reply(data))

    def _close_pipe(self, worker: _Worker) -> None:
        assert self._waiter is not None
        if not worker.pipe.closed:
            worker.outbox.close()
            self._waiter.unregister(worker.pipe)
            worker.pipe.close()

    def _on_exit(self, worker_id: int, exit: WorkerExit) -> None:
        worker = self._workers.pop(worker_id)
        self._deadlines.drop(worker_id)
        self._drain(worker)
        self._close_pipe(worker)
        worker.close_output()
        assert self._private_dir is not None
        crash_text = take_crash(self._private_dir.path, worker_id, exit.exit_code)
        exit = replace(exit, note=exit.note or worker.kill_note, crash_text=crash_text)
        if self._memory_watch is not None:
            exit = self._memory_watch.release(worker_id, exit)
        self._events.append(Exited(worker_id, exit))

    def _drain(self, worker: _Worker) -> None:
        """Takes in the replies that the worker sent before it ended."""
        with contextlib.suppress(EOFError, OSError):
            while not worker.pipe.closed and worker.pipe.is_ready():
                self._take_in(worker, worker.pipe.receive_ready())

    # -- deadlines ------------------------------------------------------------------------------

    def _enforce_deadlines(self) -> None:
        assert self._launcher is not None
        for worker_id, step in self._deadlines.take_due():
            worker = self._workers.get(worker_id)
            if worker is None:
                continue  # It has ended meanwhile.
            if step is Step.TERMINATE:
                worker.kill_note = f"it did not stop within {self._stop_timeout_s:g} s"
                self._deadlines.set(worker_id, self._kill_timeout_s, Step.KILL)
                self._launcher.send_signal(worker_id, signal.SIGTERM)
            elif step is Step.KILL:
                self._kill(worker)
            else:
                self._deadlines.set(worker_id, _CLOSE_TIMEOUT_S, Step.GIVE_UP)
                self._launcher.give_up(worker_id)

    def _kill(self, worker: _Worker) -> None:
        assert self._launcher is not None
        worker.kill_note = worker.kill_note or (
            "it closed its pipe and did not end" if worker.pipe.closed else "killed by localtune"
        )
        self._deadlines.set(worker.worker_id, _CLOSE_TIMEOUT_S, Step.GIVE_UP)
        self._launcher.send_signal(worker.worker_id, SIGKILL)

    def _note_assignment(self, worker_id: int, assignment: messages.Assignment) -> None:
        if self._memory_watch is not None:
            self._memory_watch.assign(worker_id, assignment)

    def _watch_memory(self) -> float | None:
        """Checks the memory of the workers when it is due; returns seconds to the next check."""
        watch = self._memory_watch
        if watch is None:
            return None
        left_s = watch.seconds_left()
        if left_s != 0.0:
            return left_s
        for verdict in watch.look(self.process_ids()):
            logger.info("Worker %d is killed: %s", verdict.worker_id, verdict.note)
            self._kill(self._workers[verdict.worker_id])
        return watch.seconds_left()


@dataclass(slots=True, eq=False)
class _Worker:
    """The state of one worker in the executor.

    Attributes:
        worker_id: Its id.
        pipe: The parent's end, for reading.
        outbox: Writes to the same end.
        output: The pipe for its output; None if it prints to the parent's own output.
        is_stopping: Whether it was told to stop.
        kill_note: The reason why it was killed, "" if it was not.
    """

    worker_id: int
    pipe: MessagePipe
    outbox: Outbox
    output: OutputPipe | None
    is_stopping: bool = False
    kill_note: str = ""

    def close_output(self) -> None:
        """Takes in what the worker printed last."""
        if self.output is not None:
            self.output.close()
            self.output = None
