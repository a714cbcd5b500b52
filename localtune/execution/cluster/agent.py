"""The agent: runs the workers of one node, on behalf of a parent on another machine.

::

      relay                     agent                                     workers
        |  standard input         |                                          |
        |------ frames ---------->| Receiver (thread) --> queue              |
        |                         |                        |                 |
        |                         | main thread: Agent.run |                 |
        |                         |   takes messages <-----+                 |
        |                         |   ProcessExecutor <------- pipes ------->|
        |<----- frames -----------|   replies, ends                          |
        |<----- frames -----------| Sender (thread): all else, and what the relay is slow to take
        |  standard output        |                                          |
        |                         | Lease (thread): no PING for too long, or
        |                         |   the input has ended --> the agent ends with all its workers

The main thread never waits for the relay. An agent that cannot end in good order is ended at once,
and the guard of its executor kills the workers.
"""

from __future__ import annotations

import os
import platform
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, NoReturn

from localtune.error import StorageError, WorkerStartError
from localtune.execution.cluster.node_files import NodeFiles
from localtune.execution.cluster.replies import RawReply
from localtune.execution.cluster.storage_check import StoreFacts
from localtune.execution.cluster.wire import WIRE_VERSION, FrameReader, Kind, Message, frame
from localtune.execution.executor import Exited, WorkerEvent, WorkerExit
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.utils.text import text_of
from localtune.worker import messages

# The longest lease before the parent has said how long it is to be.
FIRST_LEASE_S = 60.0
# An agent that has not ended in good order within this time, or this share of its lease, is ended
# at once.
_END_S = 3.0
_END_SHARE = 0.3
_CHUNK_BYTES = 1024 * 1024
_NOTHING = PlacementGroupFactory([{"CPU": 1}])


def main() -> NoReturn:
    """Runs an agent on the standard input and output of this process, until they end."""
    reads, writes = os.dup(0), os.dup(1)
    # User code must neither read the parent's messages nor print between the agent's own.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sender = Sender(writes)
    agent = Agent(sender)
    receiver = Receiver(reads, agent)
    sender.start()
    receiver.start()
    try:
        agent.run()
    finally:
        sender.close()
        sys.stderr.flush()
        # Threads that wait for the relay are not waited for.
        os._exit(0)


def versions() -> dict[str, str]:
    """Returns the versions that must be the same in the parent and in all agents."""
    from localtune._version import __version__

    return {"Python": ".".join(platform.python_version_tuple()[:2]), "localtune": __version__}


class Agent:
    """Carries out the messages of a parent.

    Args:
        sender: Sends messages to the parent.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._send = sender.send
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._executor: NodeExecutor | None = None
        self._files = NodeFiles()
        self._store_facts: StoreFacts | None = None
        self._nameless: set[int] = set()  # workers whose process the parent does not know
        self._lease = Lease(self.end)

    def take(self, message: Message) -> None:
        """Takes in a message. For the thread that receives."""
        if message[0] == Kind.PING:
            self._lease.renew(message[1])
        self._inbox.put(message)
        self._wake()

    def end(self) -> None:
        """Tells the main thread to end, and ends the process if it does not. For all threads."""
        self._inbox.put(None)
        self._wake()
        self._lease.end_soon()

    def run(self) -> None:
        """Serves the parent until it is gone. Kills all workers then."""
        self._lease.start()
        self._send((Kind.HELLO, WIRE_VERSION, versions(), os.getpid()))
        try:
            while self._take_in():
                if self._executor is not None:
                    self._pass(self._executor.wait(None))
                    for worker_id, command in self._files.ready_commands():
                        self._executor.send(worker_id, command)
                    self._name_processes(self._executor)
        finally:
            self._files.close()
            if self._executor is not None:
                self._executor.close()

    def _take_in(self) -> bool:
        """Carries out what has arrived; returns whether to go on."""
        is_blocking = self._executor is None
        while True:
            try:
                message = self._inbox.get(block=is_blocking)
            except queue.Empty:
                return True
            if message is None:
                return False
            kind, *parts = message
            _METHODS[kind](self, *parts)
            is_blocking = self._executor is None

    def _wake(self) -> None:
        executor = self._executor
        if executor is not None:
            executor.wake()

    # -- messages ---------------------------------------------------------------------------------

    def _pong(self, lease_s: float) -> None:
        self._send((Kind.PONG,))

    def _check(self, path: str, content: bytes) -> None:
        try:
            with open(path, "rb") as file:
                problem = "" if file.read() == content else f"{path} has another content there"
        except OSError as error:
            problem = text_of(error)
        self._send((Kind.CHECKED, problem))

    def _use_store(self, facts: Sequence[Any]) -> None:
        self._store_facts = StoreFacts(*facts)
        # The store, or the import of its library, may take longer than the parent is patient.
        threading.Thread(
            target=self._check_store,
            args=[self._store_facts],
            daemon=True,
            name="localtune-agent-store",
        ).start()

    def _check_store(self, facts: StoreFacts) -> None:
        # Other agents do without it.
        from localtune.execution.cluster.node_storage import check_store

        try:
            check_store(facts)
        except Exception as error:
            self._send((Kind.CHECKED, f"{type(error).__name__}: {text_of(error)}"))
        else:
            self._send((Kind.CHECKED, ""))

    def _warn(self, text: str) -> None:
        self._send((Kind.WARNING, text))

    def _open(self, program: bytes, settings: dict[str, Any], imports: list[Any]) -> None:
        executor: NodeExecutor | None = None
        try:
            executor = NodeExecutor(num_cpus=0, num_gpus=0, shared=False, **settings)
            executor.expect_imports([(name, tuple(names)) for name, names in imports])
            executor.open(program, self._put_out)
            self._files = self._files_in(executor.directory)
        except Exception as error:
            self._send((Kind.OPENED, f"{type(error).__name__}: {text_of(error)}", None, ""))
            if executor is not None:
                executor.close()
            return
        self._executor = executor
        self._send((Kind.OPENED, "", *executor.most_workers()))

    def _files_in(self, directory: str) -> NodeFiles:
        if self._store_facts is None:
            return NodeFiles()
        from localtune.execution.cluster.node_storage import NodeStorage

        return NodeStorage(self._store_facts, directory, self._wake, self._warn)

    def _put_out(self, lines: str, trial_id: str) -> None:
        self._send((Kind.OUTPUT, lines, trial_id))

    def _start(self, worker_id: int, command: bytes, cpus: float) -> None:
        assert self._executor is not None
        try:
            decoded = self._files.started(worker_id, messages.decode(command))
            self._executor.start_worker(worker_id, decoded, Slot(worker_id, _NOTHING, cpus))
        except (WorkerStartError, StorageError) as error:
            no_room = isinstance(error, WorkerStartError) and error.is_shortage
            self._pass([Exited(worker_id, WorkerExit(None, text_of(error), no_room=no_room))])
        else:
            self._nameless.add(worker_id)

    def _command(self, worker_id: int, command: bytes) -> None:
        if self._executor is not None:
            decoded = self._files.taken(worker_id, messages.decode(command))
            if decoded is not None:
                self._executor.send(worker_id, decoded)

    def _stop(self, worker_id: int, reason: str, force: bool) -> None:
        if self._executor is not None:
            self._files.stopped(worker_id)
            self._executor.stop_worker(worker_id, reason, force=force)

    # -- events -----------------------------------------------------------------------------------

    def _pass(self, events: Sequence[WorkerEvent]) -> None:
        told: list[Message] = []
        for event in self._files.passed(events):
            if isinstance(event, RawReply):
                told.append((Kind.REPLIED, event.worker_id, event.data))
            elif isinstance(event, Exited):
                self._nameless.discard(event.worker_id)
                told.append((Kind.EXITED, event.worker_id, astuple(event.exit)))
        if told:
            self._sender.send_now(told)

    def _name_processes(self, executor: ProcessExecutor) -> None:
        """Tells the parent the processes of the workers that have started."""
        if not self._nameless:
            return
        known = executor.process_ids()
        for worker_id in self._nameless & known.keys():
            self._nameless.discard(worker_id)
            self._send((Kind.PROCESS, worker_id, known[worker_id]))


_METHODS: dict[int, Callable[..., None]] = {
    Kind.PING: Agent._pong,
    Kind.CHECK: Agent._check,
    Kind.STORE: Agent._use_store,
    Kind.OPEN: Agent._open,
    Kind.START: Agent._start,
    Kind.SEND: Agent._command,
    Kind.STOP: Agent._stop,
}


class NodeExecutor(ProcessExecutor):
    """The executor of an agent. The parent places its workers, and reads their replies."""

    def _event_of(self, worker_id: int, data: bytes) -> WorkerEvent:
        return RawReply(worker_id, data)

    @property
    def directory(self) -> str:
        """Path of a directory of this agent alone, which is removed however the agent ends."""
        assert self._private_dir is not None
        return self._private_dir.path

    def most_workers(self) -> tuple[int | None, str]:
        """Returns how many workers may run at once, None for any number, and the reason."""
        return self.slots.most_slots


class Sender(threading.Thread):
    """Writes messages to the relay: all that wait, at once. Any thread may send.

    Args:
        fd: Descriptor to write to.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True, name="localtune-agent-sender")
        self._fd = fd
        self._waiting: queue.SimpleQueue[Sequence[Message] | bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._behind = 0  # what the thread has not written yet
        # Elsewhere a write waits for the relay: the thread does it.
        self._may_try = sys.platform != "win32"
        if self._may_try:
            os.set_blocking(fd, False)

    def send(self, message: Message) -> None:
        """Sends a message soon."""
        self._put([message])

    def send_now(self, messages: Sequence[Message]) -> None:
        """Sends messages at once if the relay keeps up, without a change of threads; else soon."""
        with self._lock:
            if not self._may_try or self._behind:
                self._behind += 1
                self._waiting.put(messages)
                return
            data = frame(messages)
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                written = 0
            except OSError:
                return  # The relay is gone: the receiver notices it, too.
            if written < len(data):
                self._behind += 1
                self._waiting.put(data[written:])

    def close(self) -> None:
        """Waits for a moment until all is written."""
        self._waiting.put(None)
        self.join(_END_S)

    def run(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                count = 1
                if isinstance(item, bytes):
                    _write(self._fd, item)
                else:
                    batch = [*item]
                    # The rest of a frame is put only when nothing else waits.
                    while not self._waiting.empty() and (item := self._waiting.get()) is not None:
                        assert not isinstance(item, bytes)
                        batch += item
                        count += 1
                    _write(self._fd, frame(batch))
                with self._lock:
                    self._behind -= count
                if item is None:
                    return
        except OSError:
            return  # The relay is gone: the receiver notices it, too.

    def _put(self, messages: Sequence[Message]) -> None:
        with self._lock:
            self._behind += 1
            self._waiting.put(messages)


class Receiver(threading.Thread):
    """Reads the messages of the relay.

    Args:
        fd: Descriptor to read from.
        agent: Gets the messages.
    """

    def __init__(self, fd: int, agent: Agent) -> None:
        super().__init__(daemon=True, name="localtune-agent-receiver")
        self._fd = fd
        self._agent = agent

    def run(self) -> None:
        reader = FrameReader()
        try:
            while data := os.read(self._fd, _CHUNK_BYTES):
                for message in reader.feed(data):
                    self._agent.take(message)
        finally:
            self._agent.end()


class Lease(threading.Thread):
    """Ends the agent when the parent has not been heard of for too long.

    Args:
        end: Ends the agent in good order.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="localtune-agent-lease")
        self._end = end
        self._ends_at = time.monotonic() + FIRST_LEASE_S
        self._end_s = _END_S
        self._changed = threading.Event()
        self._is_ending = False

    def renew(self, lease_s: float) -> None:
        """Lets the agent and its workers live for so many seconds from now on, and no longer."""
        if not self._is_ending:
            self._end_s = min(_END_S, lease_s * _END_SHARE)
            self._ends_at = time.monotonic() + lease_s - self._end_s
            self._changed.set()

    def end_soon(self) -> None:
        """Lets the agent live for as long as it takes to end in good order."""
        if not self._is_ending:
            self._is_ending = True
            self._ends_at = time.monotonic() + self._end_s
            self._changed.set()

    def run(self) -> None:
        while True:
            self._changed.wait(max(self._ends_at - time.monotonic(), 0.0))
            self._changed.clear()
            if time.monotonic() < self._ends_at:
                continue
            if self._is_ending:
                os._exit(1)
            self._end()


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
