"""DaskSession: the connection to a Dask scheduler, in a thread with an event loop of its own.

::

      DaskEngine                 DaskSession (event loop)           scheduler         workers
        |  reserve, release         |  HeldPlacing: who gets what      |                |
        |-------------------------->|  submit(hold, workers=[one]) --->|--------------->| hold
        |  start_agent, send        |  run(start_agent, write) ------->|--------------->| Guest
        |-------------------------->|                                  |                |
        |  <- received, agent_ended |  run(poll) --------------------->|--------------->| Guest
        |  <- changed               |  <---- bytes, which holds run ---|<---------------|
        |                           |  nthreads(), each second ------->|

All that is sent goes through the scheduler, so the workers need not be reachable from here. A
connection that breaks ends everything: Dask forgets the tasks of a client that it does not see.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from localtune.execution.cluster.dask import guest
from localtune.execution.cluster.dask.holds import Hold
from localtune.execution.cluster.dask.line import Line, described
from localtune.execution.cluster.dask.nodes import node_of, why_no_guest
from localtune.execution.cluster.dask.placement import HeldPlacing, threads_of
from localtune.execution.cluster.engine import ClusterError, Inbox, Node, Place
from localtune.utils.messages import get_logger
from localtune.utils.text import text_of

_LOOK_S = 1.0
# How long a session waits for its guests to end, and then for Dask's client.
_LEAVE_S = 3.0

logger = get_logger(__name__)


class DaskSession(threading.Thread):
    """A connection to a scheduler.

    Args:
        address: Address of the scheduler.
        security: Dask's settings for encrypted connections; None is the configuration's.
        adaptive: Whether to show Dask tasks that wait for resources no worker has.
        timeout_s: Time limit to connect.

    Attributes:
        inbox: Takes in what happens; None before somebody listens.
        nodes: The nodes that are alive.
        granted: Places of the granted reservations.
    """

    def __init__(self, address: str, security: Any, *, adaptive: bool, timeout_s: float) -> None:
        super().__init__(daemon=True, name="localtune-dask")
        self.inbox: Inbox | None = None
        self.nodes: tuple[Node, ...] = ()
        self.granted: Mapping[int, tuple[Place, ...]] = {}
        self._address = address
        self._security = security
        self._adaptive = adaptive
        self._timeout_s = timeout_s
        self._connected: Future[None] = Future()
        self._client: Any = None
        self._name = f"localtune-{secrets.token_hex(8)}"
        self._count = 0
        self._lines: dict[str, Line] = {}  # by node id
        self._admitting: set[str] = set()  # addresses
        self._placing = HeldPlacing()
        self._needs: dict[int, list[Any]] = {}  # by key of the reservation
        self._jobs: set[asyncio.Task[None]] = set()

    # -- for any thread ---------------------------------------------------------------------------

    def connect(self) -> None:
        """Starts the thread, and waits until the session is connected.

        Raises:
            ClusterError: if it cannot be.
        """
        self.start()
        self._connected.result()

    def close(self) -> None:
        """Gives back everything, and waits for the end of the thread, for some seconds."""
        self.inbox = None
        self.call(self._closing.set)
        self.join(3 * _LEAVE_S)

    def reserved_names(self) -> frozenset[str]:
        """Returns the names of the resources that other jobs see as taken."""
        return frozenset({"CPU"}).union(*(holds.declared for holds in self._placing.holds.values()))

    def call(self, method: Callable[..., object], *args: object) -> None:
        """Has the thread call a method of the session soon.

        Args:
            method: One of the methods below.
            *args: Its arguments.
        """
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(method, *args)

    def run(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:
            if not self._connected.done():
                self._connected.set_exception(self._no_connection(error))
                return
            logger.exception("The connection to Dask has failed.")
            self._lose_all(f"the connection to Dask has failed: {text_of(error)}")

    # -- the thread -------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        try:
            await self._open_client()
            await self._look()
            if self._jobs:
                await asyncio.wait(self._jobs, timeout=self._timeout_s)
            self._connected.set_result(None)
            while not self._closing.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), _LOOK_S)
                    break
                await self._look_or_reconnect()
        finally:
            await self._leave()

    async def _open_client(self) -> None:
        from dask.distributed import Client

        client = Client(
            self._address,
            timeout=self._timeout_s,
            security=self._security,
            asynchronous=True,
            set_as_default=False,
            direct_to_workers=False,
        )
        try:
            # Another software may accept the connection and never answer.
            await asyncio.wait_for(client, self._timeout_s + 1)
        except (Exception, asyncio.CancelledError) as error:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), _LEAVE_S)
            raise self._no_connection(error) from error
        self._client = client

    def _no_connection(self, error: BaseException) -> ClusterError:
        if isinstance(error, ClusterError):
            return error
        return ClusterError(
            f"No Dask scheduler answers as it should at {self._address} (the time limit is "
            f"{self._timeout_s:g} s): {described(error)}. Check the address, that the scheduler "
            "runs, and that it has the version of distributed of this machine."
        )

    async def _leave(self) -> None:
        for job in self._jobs:
            job.cancel()
        if self._client is None:
            return
        if self._client.status == "running":
            leaving = [
                line.call(guest.guest_leave) for line in self._lines.values() if not line.problem
            ]
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.gather(*leaving, return_exceptions=True), _LEAVE_S)
        for line in self._lines.values():
            line.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.close(), _LEAVE_S)

    def _spawn(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    # -- nodes ------------------------------------------------------------------------------------

    async def _look_or_reconnect(self) -> None:
        if self._client.status != "running":
            self._lose_all(f"the connection to the Dask scheduler at {self._address} is lost")
            if self._client.status == "closed":  # It has given up.
                with contextlib.suppress(ClusterError):
                    await self._open_client()
            return
        try:
            await self._look()
        except Exception as error:
            # A scheduler that is gone shows in the status, a busy one is asked again.
            logger.debug("The Dask scheduler did not answer: %s", error)

    async def _look(self) -> None:
        """Finds out which workers are there, and what others do there."""
        present = set(await self._client.nthreads())
        for line in list(self._lines.values()):
            if line.address not in present:
                self.lose(line, "its Dask worker is gone")
        known = {line.address for line in self._lines.values()} | self._admitting
        if present - known:
            details = (await self._identity())["workers"]
            for address in sorted(present - known):
                if address in details:
                    self._admitting.add(address)
                    self._spawn(self._admit(address, details[address]))
        for line in list(self._lines.values()):
            if ended := line.ended_hold():
                self.lose(line, f"Dask has ended a task that holds its resources ({ended})")
        if self._placing.waiting():
            await self._look_at_others()
            self._placing.lose_patience(time.monotonic())
        self._settle()

    async def _identity(self) -> Any:
        try:
            return await self._client.scheduler.identity(n_workers=-1)
        except Exception:  # Schedulers before 2025.5 have no such argument, and tell all workers.
            return await self._client.scheduler.identity()

    async def _look_at_others(self) -> None:
        processing = await self._client.processing()
        for line in self._lines.values():
            others = set(processing.get(line.address, ())) - line.hold_keys()
            self._placing.holds[line.node_id].others = len(others)

    async def _admit(self, address: str, details: Mapping[str, Any]) -> None:
        """Makes a guest in a worker, and a node of it."""
        self._count += 1
        line = Line(self, self._client, address, f"{self._name}-{self._count}")
        facts = None
        try:
            facts = await line.open()
        except Exception as error:
            line.problem = why_no_guest(error)
            if not line.problem:
                return  # It has gone, or is asked again in a second.
        finally:
            self._admitting.discard(address)
        self._lines[line.node_id] = line
        node, holds = node_of(line.node_id, details, facts)
        self._placing.add_held(node, holds)
        self._show_nodes()
        self._settle()
        self._tell_changed()

    def hold_runs(self, line: Line, numbers: tuple[int, ...]) -> None:
        """See :meth:`~localtune.execution.cluster.dask.line.Owner.hold_runs`."""
        if line.node_id in self._placing.holds:
            for number in numbers:
                self._placing.runs(line.node_id, number)
            self._settle()

    def lose(self, line: Line, why: str) -> None:
        """See :meth:`~localtune.execution.cluster.dask.line.Owner.lose`."""
        if self._lines.pop(line.node_id, None) is None:
            return
        line.close()
        self._placing.remove(line.node_id)
        self._show_nodes()
        self.granted = self._placing.granted()
        self._settle()
        inbox = self.inbox
        if inbox is not None:
            inbox.agent_ended(line.node_id, why)
            inbox.changed()

    def _lose_all(self, why: str) -> None:
        for line in list(self._lines.values()):
            self.lose(line, why)

    def _show_nodes(self) -> None:
        self.nodes = tuple(self._placing.nodes.values())

    def _tell_changed(self) -> None:
        inbox = self.inbox
        if inbox is not None:
            inbox.changed()

    # -- reservations -----------------------------------------------------------------------------

    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        """See :meth:`~localtune.execution.cluster.engine.Engine.reserve`."""
        self._placing.ask(key, bundles, strategy)
        self._settle()

    def release(self, key: int) -> None:
        """Gives back a reservation. In the thread of the session."""
        self._placing.release(key)
        self._settle()

    def _settle(self) -> None:
        if self._client.status != "running":
            return  # All nodes are dropped in a moment.
        changes = self._placing.settle()
        ended: dict[str, list[Hold]] = {}
        for node_id, hold, starts in changes.holds:
            if starts:
                self._lines[node_id].start_hold(hold)
            else:
                ended.setdefault(node_id, []).append(hold)
        for node_id, holds in ended.items():
            self._lines[node_id].end_holds(holds)
        self.granted = self._placing.granted()
        self._show_needs()
        if changes.granted:
            self._tell_changed()

    def _show_needs(self) -> None:
        """Has tasks wait for what no worker has, so that Dask adds workers."""
        if not self._adaptive:
            return
        unplaced = self._placing.unplaced()
        for key in self._needs.keys() - unplaced.keys():
            for future in self._needs.pop(key):
                future.release()
        for key, reservation in unplaced.items():
            waiting = [each for each in self._needs.get(key, []) if each.status == "pending"]
            for _ in range(threads_of(reservation.bundles) - len(waiting)):
                self._count += 1
                name = f"localtune-need-{self._name}-{self._count}"
                waiting.append(self._client.submit(guest.need, key=name, priority=-1, pure=False))
            self._needs[key] = waiting

    # -- agents -----------------------------------------------------------------------------------

    def start_agent(self, node_id: str, module: str) -> None:
        """Starts an agent. In the thread of the session.

        Args:
            node_id: Its node.
            module: Module whose ``main()`` it runs.
        """
        line = self._lines.get(node_id)
        if line is not None and not line.problem:
            line.start_agent(self._placing.nodes[node_id].name, module)
        elif self.inbox is not None:
            self.inbox.agent_ended(node_id, line.problem if line else "its Dask worker is gone")

    def send(self, node_id: str, data: bytes) -> None:
        """See :meth:`~localtune.execution.cluster.engine.Engine.send`."""
        line = self._lines.get(node_id)
        if line is not None:
            line.send(data)

    def stop_agent(self, node_id: str) -> None:
        """Kills an agent. In the thread of the session."""
        line = self._lines.get(node_id)
        if line is not None:
            line.stop_agent()
