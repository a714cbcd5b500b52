"""InProcessExecutor: all trials in this process, one command at a time.

For debuggers (``breakpoint()`` in ``step`` works) and for fast tests. A process may hold only one
host that stays in the surroundings of its trial. Here it holds many, so each host enters its
working directory, output and environment for one command and leaves them after it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from localtune.execution.executor import Abilities, Exited, Replied, WorkerEvent, WorkerExit
from localtune.execution.local_slots import LocalExecutor
from localtune.execution.slots import Slot
from localtune.utils.serialization import dumps
from localtune.worker import messages
from localtune.worker.host import TrainableHost, failure_reply
from localtune.worker.program import WorkerProgram, load_program_bytes


class InProcessExecutor(LocalExecutor):
    """Runs trials in the calling process and thread, one command after the other.

    A function trainable runs in a thread of its own that computes only while the caller waits
    for it. A crash of native code, or ``os._exit``, ends the whole run.

    Args:
        num_cpus: CPUs to share; the default lets one trial after the other run.
        num_gpus: GPUs to share; None is what ``CUDA_VISIBLE_DEVICES`` or the driver shows.
        resources: Further resources, ``{name: amount}``.
    """

    abilities = Abilities(
        own_processes=False, kills_workers=False, runs_in_parallel=False, live_view=False
    )

    def __init__(
        self,
        num_cpus: float | None = 1,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(num_cpus, num_gpus, resources)
        self._program: WorkerProgram | None = None
        self._pickle = b""
        self._hosts: dict[int, InProcessHost] = {}
        self._commands: deque[tuple[int, messages.Command]] = deque()
        self._events: list[WorkerEvent] = []
        self._woken = threading.Event()

    def open(
        self, program: WorkerProgram, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        # Other executors would refuse it, too.
        program.check()
        # The process has the values of parameters; all workers share them.
        self._program = program
        self._pickle = dumps(program.trainable, "The trainable")

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        self._hosts[worker_id] = InProcessHost(partial(load_program_bytes, self._pickle))
        self._commands.append((worker_id, command))

    def send(self, worker_id: int, command: messages.Command) -> None:
        if worker_id in self._hosts:
            self._commands.append((worker_id, command))

    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        if worker_id not in self._hosts:
            return
        # Commands that wait are dropped, except a save.
        self._commands = deque(
            each
            for each in self._commands
            if each[0] != worker_id or isinstance(each[1], messages.Save)
        )
        self._commands.append((worker_id, messages.Stop()))

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        if not self._commands and not self._events:
            self._woken.wait(timeout_s)
        self._woken.clear()
        if self._commands:
            self._carry_out(*self._commands.popleft())
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        for worker_id in list(self._hosts):
            self._carry_out(worker_id, messages.Stop())
        self._commands.clear()
        self._events.clear()
        self._program = None
        self.slots.clear()

    def process_ids(self) -> dict[int, int]:
        return {worker_id: os.getpid() for worker_id in self._hosts}

    def _carry_out(self, worker_id: int, command: messages.Command) -> None:
        reply = self._hosts[worker_id].handle(command)
        self._events.append(Replied(worker_id, reply))
        if isinstance(command, messages.Stop) or (
            isinstance(reply, messages.Failed) and reply.fatal
        ):
            del self._hosts[worker_id]
            self._events.append(Exited(worker_id, WorkerExit(0)))


class InProcessHost(TrainableHost):
    """A host that shares its process: it enters a trial's surroundings for one command only."""

    def handle(self, command: messages.Command) -> messages.Reply:
        try:
            if self._surroundings is not None:
                try:
                    self._surroundings.enter()
                except OSError:
                    # Its directory is gone, for instance. Stop must end a function nevertheless.
                    if not isinstance(command, messages.Stop):
                        raise
            return super().handle(command)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return failure_reply(type(command).__name__, error)
        finally:
            if self._surroundings is not None:
                self._surroundings.leave()
