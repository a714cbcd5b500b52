"""Line: from the parent to one Dask worker, and to its guest.

::

      DaskSession             Line (tasks in the session's loop)          Guest
        | start_agent, send     |  work off: one call after the other      |
        |---------------------->|----------------------------------------->|
        |                       |  listen: one long call after the other   |
        |  <- received          |<-----------------------------------------|
        |  <- hold_runs, lose   |                                          |

A call that fails ends the line, since bytes may be lost: the agent counts as gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from localtune.execution.cluster.dask import guest
from localtune.execution.cluster.dask.guest import Facts, News
from localtune.execution.cluster.dask.holds import Hold
from localtune.execution.cluster.engine import Inbox
from localtune.utils.text import text_of

# A call for news waits so long. The guest counts on it.
_POLL_S = 2.0
# Most bytes of one call.
_CALL_BYTES = 4 * 1024 * 1024
# Holds come before tasks of other jobs that wait, and before none that run.
_PRIORITY = 1000


class Owner(Protocol):
    """Who a line belongs to."""

    inbox: Inbox | None

    def hold_runs(self, line: Line, numbers: tuple[int, ...]) -> None:
        """Takes in that holds run.

        Args:
            line: The line to their worker.
            numbers: Their numbers.
        """

    def lose(self, line: Line, why: str) -> None:
        """Takes in that a line has ended.

        Args:
            line: The line.
            why: The reason, as a clause.
        """


@dataclass(frozen=True, slots=True)
class _Start:
    """An order to start an agent.

    Attributes:
        number: Number of the agent.
        label: Name of the node.
        module: Module whose ``main()`` it runs.
    """

    number: int
    label: str
    module: str


class Line:
    """The line to one worker.

    Args:
        owner: Is told what happens.
        client: Dask's client, which is asynchronous.
        address: Address of the worker.
        node_id: Id of its node, and name of the guest there. A worker that is restarted at the
            same address gets another one.

    Attributes:
        address: See above.
        node_id: See above.
        problem: Why no agent can run there; "" if one can.
    """

    def __init__(self, owner: Owner, client: Any, address: str, node_id: str) -> None:
        self.address = address
        self.node_id = node_id
        self.problem = ""
        self._owner = owner
        self._client = client
        self._mark: Any = None
        self._holds: dict[int, Any] = {}
        self._agents = 0
        self._agent = 0
        # What is to be done there, in this order: bytes are written, None stops the agent.
        self._outgoing: deque[bytes | _Start | list[int] | None] = deque()
        self._has_outgoing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function of the guest, in the event loop of the worker.

        Args:
            function: A function of ``guest.py``.
            *args: Its arguments after the name of the guest.

        Raises:
            OSError: if the worker or the scheduler cannot be reached.
        """
        results = await self._client.run(
            function,
            *(self.node_id, *args),
            workers=[self.address],
            on_error="return",
        )
        if self.address not in results:
            raise OSError(f"{self.address} is not known.")
        result = results[self.address]
        if isinstance(result, BaseException):
            raise result
        return result

    async def open(self) -> Facts:
        """Makes the guest, and begins to listen to it."""
        [self._mark] = await self._client.scatter(
            [self.node_id], workers=[self.address], hash=False, direct=False
        )
        facts: Facts = await self.call(guest.guest_enter, self._mark.key)
        self._tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._work_off()),
        ]
        return facts

    def close(self) -> None:
        """Ends what runs here. Without its mark the guest ends, too, after some seconds."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for future in (*self._holds.values(), *filter(None, [self._mark])):
            future.release()

    # -- holds ------------------------------------------------------------------------------------

    def start_hold(self, hold: Hold) -> None:
        """Submits the task of a hold."""
        self._holds[hold.number] = self._client.submit(
            guest.hold,
            *(self.node_id, hold.number),
            key=f"localtune-hold-{self.node_id}-{hold.number}",
            workers=[self.address],
            allow_other_workers=False,
            resources=hold.resources or None,
            retries=0,
            priority=_PRIORITY,
            pure=False,
        )

    def end_holds(self, holds: list[Hold]) -> None:
        """Ends the tasks of holds, whether they run or wait."""
        for hold in holds:
            self._holds.pop(hold.number).release()
        self._put([hold.number for hold in holds])

    def hold_keys(self) -> set[str]:
        """Returns the keys of the tasks."""
        return {future.key for future in self._holds.values()}

    def ended_hold(self) -> str:
        """Returns how a task has ended that should not have, in Dask's words; "" if none has."""
        return next((each.status for each in self._holds.values() if each.status != "pending"), "")

    # -- the agent --------------------------------------------------------------------------------

    def start_agent(self, label: str, module: str) -> None:
        """Starts an agent.

        Args:
            label: Name of the node.
            module: Module whose ``main()`` it runs.
        """
        self._agents += 1
        self._agent = self._agents
        self._put(_Start(self._agent, label, module))

    def send(self, data: bytes) -> None:
        """Sends bytes to the agent."""
        if self._agent:
            self._put(data)

    def stop_agent(self) -> None:
        """Kills the agent."""
        self._agent = 0
        waiting = [item for item in self._outgoing if isinstance(item, list)]
        self._outgoing.clear()
        for item in (None, *waiting):
            self._put(item)

    def _put(self, item: bytes | _Start | list[int] | None) -> None:
        self._outgoing.append(item)
        self._has_outgoing.set()

    async def _work_off(self) -> None:
        """Does what is to be done at the worker, one thing after the other."""
        try:
            while True:
                await self._has_outgoing.wait()
                self._has_outgoing.clear()
                while self._outgoing:
                    item = self._outgoing.popleft()
                    if item is None:
                        await self.call(guest.guest_stop_agent)
                    elif isinstance(item, _Start):
                        await self._start(item)
                    elif isinstance(item, list):
                        await self.call(guest.guest_release, item)
                    else:
                        await self._write(item)
        except Exception as error:
            self._owner.lose(self, await self._why_lost(error))

    async def _start(self, order: _Start) -> None:
        why_not = await self.call(guest.guest_start_agent, order.number, order.label, order.module)
        if why_not:
            self._take_end(order.number, why_not)

    async def _write(self, data: bytes) -> None:
        parts = [data]
        size = len(data)
        while self._outgoing and size < _CALL_BYTES:
            following = self._outgoing[0]
            if not isinstance(following, bytes):
                break
            parts.append(following)
            size += len(following)
            self._outgoing.popleft()
        view = memoryview(b"".join(parts))
        for start in range(0, size, _CALL_BYTES):
            await self.call(guest.guest_write, bytes(view[start : start + _CALL_BYTES]))

    async def _listen(self) -> None:
        """Takes in what happens at the worker."""
        try:
            while True:
                news: News = await self.call(guest.guest_poll, _POLL_S)
                if not news.is_there:
                    self._owner.lose(self, "its Dask worker was restarted")
                    return
                self._take_in(news)
        except Exception as error:
            self._owner.lose(self, await self._why_lost(error))

    def _take_in(self, news: News) -> None:
        if news.running:
            self._owner.hold_runs(self, news.running)
        inbox = self._owner.inbox
        # What an agent has written that was stopped meanwhile is none of the next one.
        if news.data and news.agent == self._agent and inbox is not None:
            inbox.received(self.node_id, news.data)
        if news.ended:
            self._take_end(news.agent, news.ended)

    def _take_end(self, agent: int, why: str) -> None:
        inbox = self._owner.inbox
        if agent == self._agent and inbox is not None:
            self._agent = 0
            inbox.agent_ended(self.node_id, why)

    async def _why_lost(self, error: Exception) -> str:
        """Returns why a call has failed."""
        if not isinstance(error, OSError):
            return f"its Dask worker does not answer as it should ({described(error)})"
        try:
            # A scheduler that is gone is noticed by the client a moment later than by the call.
            await asyncio.wait_for(self._client.nthreads(), _POLL_S)
        except Exception:
            return "the connection to the Dask scheduler is lost"
        return "its Dask worker has ended"


def described(error: BaseException) -> str:
    """Returns the class and the text of an error."""
    return f"{type(error).__name__}: {text}" if (text := text_of(error)) else type(error).__name__
