"""Guest: what localtune has in the process of a Dask worker.

::

      DaskSession                     event loop of the worker           its threads
        | enter, start_agent, write ---> Guest --- Relay --- agent
        | submit(hold) --------------------------------------------------> hold: waits, and so
        | <- poll: bytes, "hold runs" -- Guest <--------------------------|  occupies the thread
        | release ---------------------> Guest -------------------------> returns
        X                                Guest.end: kills the agent, ends all holds

The session calls these functions by ``Client.run``, so they run in the event loop of the worker,
also when all its threads are occupied. None of them blocks the loop.

The session has put a small object into the worker's memory, the *mark*. Dask removes it when the
parent has lost its connection to the scheduler. A guest ends when its mark is gone and the
session has not called it for some seconds. Calls alone would not tell: a scheduler that is busy for
a minute is no reason to end trials.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from localtune.execution.cluster.relay import Relay
from localtune.execution.machine import THREAD_VARIABLES, gpu_ids, memory_bytes

if TYPE_CHECKING:
    import logging

_TICK_S = 1.0
# After so many ticks without a call, a guest whose mark is gone ends. A call of poll() takes 2 s.
_MOST_SILENT_TICKS = 4
# A worker that closes waits for its threads, so the holds must end first. It closes when it is told
# to, and when it has lost its scheduler.
_ENDING = {"closing", "closed", "failed"}

# A worker logs each call that it gets by Client.run.
_LOGGER = "distributed.worker"

_guests: dict[str, Guest] = {}


class Facts(NamedTuple):
    """What a worker tells of itself.

    Attributes:
        host: Name of the machine.
        memory: Bytes of memory of the machine.
        gpu_ids: The GPUs that it sees, in its order.
        hides_gpus: Whether a variable of its environment names its GPUs.
        owns_gpu: Whether its first GPU belongs to it alone, by the rule of dask-cuda.
    """

    host: str
    memory: int
    gpu_ids: tuple[str, ...]
    hides_gpus: bool
    owns_gpu: bool


class News(NamedTuple):
    """What has happened at a guest.

    Attributes:
        is_there: Whether there is such a guest: a worker that was restarted has none.
        agent: Number of the agent.
        data: What this agent has written.
        ended: Why nothing follows from this agent; "" while it lives.
        running: Numbers of the holds that run now.
    """

    is_there: bool
    agent: int = 0
    data: bytes = b""
    ended: str = ""
    running: tuple[int, ...] = ()


class Guest:
    """An agent and the holds of one session in one worker.

    Args:
        worker: The Dask worker.
        mark: Key of the mark.
    """

    def __init__(self, worker: Any, mark: str) -> None:
        self.silent_ticks = 0
        self._worker = worker
        self._mark = mark
        self._loop = asyncio.get_running_loop()
        self._has_news = asyncio.Event()
        self._lock = threading.Condition()
        self._is_ended = False
        self._agent = 0
        self._relay: Relay | None = None
        self._data: list[bytes] = []
        self._agent_ended = ""
        self._holds: dict[int, threading.Event] = {}
        self._released: set[int] = set()
        self._running: list[int] = []
        self._watcher = asyncio.create_task(self._watch())

    # -- in the event loop ------------------------------------------------------------------------

    async def poll(self, timeout_s: float) -> News:
        """Waits for news, or until the time is over."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._has_news.wait(), timeout_s)
        self.silent_ticks = 0
        with self._lock:
            self._has_news.clear()
            news = News(
                not self._is_ended,
                self._agent,
                b"".join(self._data),
                self._agent_ended,
                tuple(self._running),
            )
            self._data, self._running, self._agent_ended = [], [], ""
            self._lock.notify_all()
            return news

    async def start_agent(self, number: int, label: str, module: str) -> None:
        """Starts an agent, in place of an older one.

        Args:
            number: Its number.
            label: Name of the node.
            module: Module whose ``main()`` it runs.

        Raises:
            OSError: if it cannot be started.
        """
        self.stop_agent()
        environment = _environment(self._worker)
        relay = await asyncio.to_thread(Relay, label, module, None, environment)
        with self._lock:
            self._relay, self._agent = relay, number
            self._data, self._agent_ended = [], ""
            if self._is_ended:
                relay.kill()
        threading.Thread(
            target=self._pump, args=(relay,), daemon=True, name="localtune-guest"
        ).start()

    def write(self, data: bytes) -> None:
        """Writes to the agent."""
        if self._relay is not None:
            self._relay.write(data)

    def stop_agent(self) -> None:
        """Kills the agent."""
        with self._lock:
            relay, self._relay, self._agent = self._relay, None, 0
            self._data = []
            self._lock.notify_all()
        if relay is not None:
            relay.kill()

    def release(self, numbers: list[int]) -> None:
        """Ends holds, also those that have not begun."""
        with self._lock:
            self._released.update(numbers)
            events = [self._holds[number] for number in numbers if number in self._holds]
        for event in events:
            event.set()

    def end(self) -> None:
        """Ends the agent and all holds."""
        with self._lock:
            self._is_ended = True
            events = list(self._holds.values())
        for event in events:
            event.set()
        self.stop_agent()
        self._has_news.set()
        self._watcher.cancel()
        for name in [name for name, guest in _guests.items() if guest is self]:
            del _guests[name]
        if not _guests:
            import logging

            logging.getLogger(_LOGGER).removeFilter(_is_no_call_of_ours)

    async def _watch(self) -> None:
        try:
            while self._is_wanted():
                await asyncio.sleep(_TICK_S)
                # Ticks rather than time: a worker that was busy has heard nobody meanwhile.
                self.silent_ticks += 1
        finally:
            # Also when the loop ends, which cancels what runs in it.
            self.end()

    def _is_wanted(self) -> bool:
        if self._worker.status.name in _ENDING:
            return False
        return self.silent_ticks <= _MOST_SILENT_TICKS or self._mark in self._worker.data

    # -- in threads -------------------------------------------------------------------------------

    def hold(self, number: int) -> None:
        """Waits until the hold is released."""
        event = threading.Event()
        with self._lock:
            if self._is_ended or number in self._released:
                return
            self._holds[number] = event
            self._running.append(number)
        self._tell()
        while not event.wait(_TICK_S) and not self._loop.is_closed():
            pass
        with self._lock:
            self._holds.pop(number, None)
            self._released.discard(number)

    def _pump(self, relay: Relay) -> None:
        """Takes in what an agent writes, until its end."""
        while True:
            data, ended = relay.read()
            with self._lock:
                if self._relay is relay:
                    self._data.append(data)
                    self._agent_ended = ended
            self._tell()
            with self._lock:
                # The relay reads ahead a little. Then the agent waits, too.
                self._lock.wait_for(lambda: not self._data or self._relay is not relay)
            if ended:
                relay.close()
                return

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(self._has_news.set)


# -- what the session calls by Client.run ---------------------------------------------------------


async def guest_enter(name: str, mark: str, dask_worker: Any) -> Facts:
    """Makes a guest.

    Args:
        name: Its name, which was never used before.
        mark: Key of the mark.
        dask_worker: The worker; Dask passes it.
    """
    import logging

    logging.getLogger(_LOGGER).addFilter(_is_no_call_of_ours)
    _guests[name] = Guest(dask_worker, mark)
    return await asyncio.to_thread(_facts)


async def guest_poll(name: str, timeout_s: float) -> News:
    """Waits for news of a guest.

    Args:
        name: Its name.
        timeout_s: The most seconds to wait.
    """
    guest = _guests.get(name)
    return News(False) if guest is None else await guest.poll(timeout_s)


async def guest_start_agent(name: str, number: int, label: str, module: str) -> str:
    """Starts an agent.

    Args:
        name: Name of the guest.
        number: Number of the agent.
        label: Name of the node.
        module: Module whose ``main()`` it runs.

    Returns:
        Why it cannot be started; "" if it was.
    """
    guest = _guests.get(name)
    if guest is not None:
        try:
            await guest.start_agent(number, label, module)
        except OSError as error:
            return f"its agent could not be started: {error}"
    return ""


async def guest_stop_agent(name: str) -> None:
    """Kills the agent of a guest."""
    guest = _guests.get(name)
    if guest is not None:
        guest.stop_agent()


async def guest_write(name: str, data: bytes) -> None:
    """Writes to the agent of a guest.

    Args:
        name: Name of the guest.
        data: The bytes.
    """
    guest = _guests.get(name)
    if guest is not None:
        guest.silent_ticks = 0
        guest.write(data)


async def guest_release(name: str, numbers: list[int]) -> None:
    """Ends holds of a guest.

    Args:
        name: Name of the guest.
        numbers: Numbers of the holds.
    """
    guest = _guests.get(name)
    if guest is not None:
        guest.release(numbers)


async def guest_leave(name: str) -> None:
    """Ends a guest."""
    guest = _guests.get(name)
    if guest is not None:
        guest.end()


# -- what the session submits as tasks ------------------------------------------------------------


def hold(name: str, number: int) -> None:
    """Occupies a thread of the worker until the hold is released.

    Returns at once without the guest: then Dask runs the task again in a restarted worker.

    Args:
        name: Name of the guest.
        number: Number of the hold.
    """
    guest = _guests.get(name)
    if guest is not None:
        guest.hold(number)


def need() -> None:
    """Does nothing: as long as it waits, Dask sees that threads are lacking."""


def _is_no_call_of_ours(record: logging.LogRecord) -> bool:
    """Keeps the calls of the session, which are many, out of the log of the worker."""
    return "Run out-of-band function 'guest_" not in record.getMessage()


def _facts() -> Facts:
    hides_gpus = any(name in os.environ for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"))
    return Facts(
        socket.gethostname(),
        memory_bytes(),
        gpu_ids(),
        hides_gpus,
        hides_gpus and "dask_cuda" in sys.modules,
    )


def _environment(worker: Any) -> dict[str, str]:
    """Returns the environment of an agent.

    The nanny of a worker limits numerical libraries to one thread, since Dask runs a task in each
    thread. A trial gets as many as it has CPUs.
    """
    import dask

    environment = dict(os.environ)
    if getattr(worker, "nanny", None):
        for key in ("distributed.nanny.pre-spawn-environ", "distributed.nanny.environ"):
            for name, value in (dask.config.get(key, None) or {}).items():
                if name in THREAD_VARIABLES and environment.get(name) == str(value):
                    del environment[name]
    return environment
