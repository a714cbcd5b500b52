"""ClusterExecutor: workers on the nodes of a cluster, whatever engine runs it.

::

      controller            ClusterExecutor                 Engine           node
          |  reserve            |  Reservations                |
          |-------------------->|----------------------------->|  holds resources
          |  start_worker       |  NodeTable                   |
          |-------------------->|  Post (thread) ------------->|------> agent -----> worker
          |  wait               |                              |
          |<--------------------|  ExecutorInbox <-------------|<------ agent <----- worker
          |  Replied, Exited    |

A node that is gone, silent or cut off loses its workers: their ``Exited`` says so (``node_lost``),
so that their trials go on elsewhere. No event of a worker follows its ``Exited``, also if its node
comes back. So each attempt at a trial has a worker id of its own, and adds no result later on.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from localtune.config.sync import SyncConfig
from localtune.error import LocaltuneInternalError
from localtune.execution.cluster.agent import versions
from localtune.execution.cluster.engine import ClusterError, Engine, Node
from localtune.execution.cluster.inbox import AgentGone, Arrived, ExecutorInbox
from localtune.execution.cluster.nodes import AgentState, NodeTable, Stage
from localtune.execution.cluster.placing import fits_somewhere
from localtune.execution.cluster.post import Post
from localtune.execution.cluster.reservations import Reservations, Use
from localtune.execution.cluster.storage_check import PathCheck, StorageCheck, StoreCheck
from localtune.execution.cluster.wire import WIRE_VERSION, Kind
from localtune.execution.executor import (
    Abilities,
    Executor,
    Exited,
    Replied,
    WorkerEvent,
    WorkerExit,
)
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.utils.messages import get_logger, pass_on
from localtune.utils.remote_store import RemoteStore
from localtune.utils.signal_numbers import SIGKILL
from localtune.utils.text import did_you_mean
from localtune.worker import messages
from localtune.worker.program import WorkerProgram

logger = get_logger(__name__)

# How often lost nodes, idle reservations and the list of nodes are looked at.
_LOOK_S = 1.0
# A machine that is shut down, or the software of a cluster that ends, sends these to all processes.
# So the end of a worker may be the first sign of a loss: it is told when its agent has lived on.
_ENDS_OF_NODES = (-SIGKILL, -int(signal.SIGTERM))
_MISSING_MODULE = re.compile(r"No module named ('[^']+')")
# A run that holds nothing, and waits so long for a reservation, says so.
_NOTE_S = 15.0
# A run on a cluster without nodes says after so long that it waits for one.
_NO_NODES_S = 2.0


def check_options(executor: type[ClusterExecutor], options: Mapping[str, Any]) -> None:
    """Checks what a subclass hands on to :class:`ClusterExecutor`.

    Args:
        executor: The subclass.
        options: {argument: value}.

    Raises:
        TypeError: for an unknown argument; it names all that there are.
    """
    ours = [
        *signature(executor).parameters.values(),
        *signature(ClusterExecutor).parameters.values(),
    ]
    known = [each.name for each in ours if each.kind is not each.VAR_KEYWORD]
    known.remove("engine")
    for name in options:
        if name not in known:
            raise TypeError(
                f"{executor.__name__} has no argument {name!r}.{did_you_mean(name, known)} "
                f"It has: {', '.join(known)}."
            )


class ClusterExecutor(Executor):
    """Runs each worker in a process of its own, on a node of a cluster.

    Args:
        engine: Connects to the cluster.
        start_method: See :class:`~localtune.ProcessExecutor`, as the following four.
        preload: Modules that the template of each node imports.
        stop_timeout_s: Seconds for a stopped worker to end.
        kill_timeout_s: Seconds from SIGTERM to SIGKILL.
        memory_check_s: Seconds between two checks of memory on each node.
        memory_reserve_bytes: Each node is short of memory when fewer bytes are left.
        node_timeout_s: A node whose agent is silent for so many seconds is lost. An agent that
            does not hear of the parent ends its trials within 80 % of this time.
        start_timeout_s: How long the agents of the nodes may take to start.
        max_node_losses: A node that is lost more often is left out.
        idle_s: Seconds after which a reservation that no trial needs is given back.

    Raises:
        ValueError: for an argument that makes no sense.
    """

    abilities = Abilities(uploads_checkpoints=True)

    def __init__(
        self,
        engine: Engine,
        *,
        start_method: str | None = None,
        preload: Sequence[str] | None = None,
        stop_timeout_s: float = 10.0,
        kill_timeout_s: float = 5.0,
        memory_check_s: float | None = 1.0,
        memory_reserve_bytes: float | None = None,
        node_timeout_s: float = 10.0,
        start_timeout_s: float = 120.0,
        max_node_losses: int = 3,
        idle_s: float = 30.0,
    ) -> None:
        for name, value in (
            ("node_timeout_s", node_timeout_s),
            ("start_timeout_s", start_timeout_s),
            ("idle_s", idle_s),
        ):
            if not value > 0:
                raise ValueError(f"{name} must be a number of seconds above 0, but got {value!r}.")
        if max_node_losses < 0:
            raise ValueError(f"max_node_losses must be at least 0, but got {max_node_losses!r}.")
        self._settings: dict[str, Any] = {
            "start_method": start_method,
            "preload": None if preload is None else list(preload),
            "stop_timeout_s": stop_timeout_s,
            "kill_timeout_s": kill_timeout_s,
            "memory_check_s": memory_check_s,
            "memory_reserve_bytes": memory_reserve_bytes,
        }
        ProcessExecutor(num_cpus=0, num_gpus=0, shared=False, **self._settings)  # checks them
        self._engine = engine
        self._node_timeout_s = node_timeout_s
        self._start_timeout_s = start_timeout_s
        self._max_node_losses = max_node_losses
        self._nodes = NodeTable()
        self._reservations = Reservations(engine, self._nodes.use_of, time.monotonic, idle_s)
        self._inbox: ExecutorInbox | None = None
        self._post: Post | None = None
        self._program = b""
        self._imports: list[tuple[str, list[str]]] = []
        self._on_output: Callable[[str, str], None] = _print_out
        self._storage: StorageCheck | None = None
        self._node_of: dict[int, str] = {}  # {number of a slot: id of its node}
        self._events: list[WorkerEvent] = []
        self._looked_at = 0.0
        self._has_noted_wait = False
        self._is_starting = False
        self._last_loss = ""  # why the last node was lost

    # -- placement --------------------------------------------------------------------------------

    def resources(self) -> Mapping[str, float]:
        total: dict[str, float] = {}
        for node in self._usable_nodes():
            for name, amount in node.resources.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        taken = self._reservations.take(request)
        if taken is None:
            return None
        key, places = taken
        agent = self._nodes.get(places[0].node_id)
        assert agent is not None
        node, cpus, gpu_ids = agent.node, 0.0, []
        for bundle, place in zip(request.bundles, places, strict=True):
            if place.node_id == node.node_id:
                cpus += bundle.get("CPU", 0.0)
                gpu_ids += [each for each in place.gpu_ids if each not in gpu_ids]
        environment = {}
        if node.resources.get("GPU"):
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpu_ids)
        if node.ip:
            environment["LOCALTUNE_NODE_IP"] = node.ip
        self._node_of[key] = node.node_id
        return Slot(key, request, cpus, tuple(gpu_ids), environment, node.name)

    def release(self, slot: Slot) -> None:
        del self._node_of[slot.number]
        self._reservations.give_back(slot.number)

    def why_never(self, request: PlacementGroupFactory) -> str:
        nodes = self._usable_nodes()
        if fits_somewhere(nodes, request.bundles, request.strategy):
            return ""
        if self._engine.grows() or (not nodes and self._inbox is None):
            return ""  # Nodes may join.
        if not nodes:
            last = f" The last one was lost: {self._last_loss}." if self._last_loss else ""
            return (
                f"The cluster ({self._engine.name}) has no node left that localtune can use.{last} "
                "Resume the run when the cluster is back, or on this machine, by "
                "localtune resume NAME --executor processes."
            )
        listed = "; ".join(f"{node.name}: {_shown(node.resources)}" for node in nodes)
        return (
            f"The trial asks for {request!r}, which no nodes of the cluster can hold "
            f"(they have {listed}). Ask for less (tune.with_resources), or add nodes."
        )

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        # Mostly the first node can run more. A run asks after each event.
        if any(agent.use is Use.NOW for agent in self._nodes):
            return ""
        agent = next((each for each in self._nodes if each.is_full), None)
        if agent is None:
            return ""
        return f"No more than {agent.most_workers} trials run at once on {agent.node.name}: " + (
            f"{agent.why_no_more}."
        )

    def _usable_nodes(self) -> list[Node]:
        if self._inbox is None:
            self._engine.connect()
        nodes = self._engine.nodes()
        return [node for node in nodes if self._nodes.use_of(node.node_id) is not Use.NEVER]

    # -- a run begins and ends --------------------------------------------------------------------

    def use_directory(
        self, path: str, store: RemoteStore | None = None, sync: SyncConfig | None = None
    ) -> None:
        self.abilities = replace(type(self).abilities, shares_storage=store is None)
        if store is None:
            self._storage = PathCheck(path)
        else:
            self._storage = StoreCheck(path, store, sync or SyncConfig())

    def expect_imports(self, imports: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self._imports = [(name, list(names)) for name, names in imports]

    def open(
        self, program: WorkerProgram | bytes, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        if self._inbox is not None:
            raise RuntimeError(
                "This executor serves another run at the moment: give each run its own."
            )
        self._program = program if isinstance(program, bytes) else program.to_bytes()
        self._engine.connect()
        self._on_output = on_output if on_output is not None else _print_out
        self._has_noted_wait = False
        self._last_loss = ""
        self._is_starting = True
        try:
            self._begin()
            self._await_agents()
        except BaseException:
            self.close()
            raise
        finally:
            self._is_starting = False

    def _begin(self) -> None:
        post: Post | None = None

        def take_pong(node_id: str) -> None:
            if post is not None:
                post.take_pong(node_id)

        self._inbox = inbox = ExecutorInbox(take_pong)
        why_silent = f"its agent has not answered for {self._node_timeout_s:g} s"
        self._post = post = Post(
            self._engine.send,
            lambda node_id: inbox.agent_ended(node_id, why_silent),
            self._node_timeout_s,
        )
        post.start()
        if self._storage is not None:
            self._storage.begin()
        self._engine.listen(inbox)
        self._look_at_nodes()

    def _await_agents(self) -> None:
        """Waits until the agents of all nodes are ready.

        Raises:
            ClusterError: if one is refused, or none can be started.
        """
        began_at = time.monotonic()
        has_noted = False
        while time.monotonic() < began_at + self._start_timeout_s:
            self._raise_refusals()
            agents = list(self._nodes)
            if not agents and not has_noted and time.monotonic() - began_at > _NO_NODES_S:
                has_noted = True
                logger.warning(
                    "The cluster (%s) has no nodes. The run waits for the first one, for %g s at "
                    "most (start_timeout_s).",
                    *(self._engine.name, self._start_timeout_s),
                )
            if agents and all(each.use is Use.NOW for each in agents):
                return
            if not agents and self._engine.grows():
                return
            self._take_in(0.25)
            self._look_if_due()
        late = [agent for agent in self._nodes if agent.use is not Use.NOW]
        for agent in late:
            self._refuse(agent, agent.why or f"{agent.stage.value} for too long")
        if not len(self._nodes):
            raise ClusterError(
                f"The cluster ({self._engine.name}) has no nodes, and none has joined within "
                f"{self._start_timeout_s:g} s. Start nodes, or wait for them with start_timeout_s."
            )
        self._raise_refusals()

    def _raise_refusals(self) -> None:
        refused = [agent for agent in self._nodes if agent.use is Use.NEVER]
        if refused:
            listed = "\n".join(f"  {agent.node.name}: {agent.why}" for agent in refused)
            raise ClusterError(
                f"{len(refused)} of the {len(self._nodes)} nodes of the cluster "
                f"({self._engine.name}) cannot run trials:\n{listed}"
            )

    def close(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is None:
            return
        if self._post is not None:
            self._post.close()
            self._post = None
        self._engine.close()
        if self._storage is not None:
            self._storage.end()
            self._storage = None
        for item in inbox.take(0):
            for message in item.messages if isinstance(item, Arrived) else ():
                if message[0] == Kind.OUTPUT:
                    self._on_output(message[1], message[2])
        self._reservations.clear()
        self._nodes.clear()
        self._node_of.clear()
        self._events = []
        self._program = b""
        self._imports = []

    # -- workers ----------------------------------------------------------------------------------

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        agent = self._nodes.get(self._node_of[slot.number])
        if agent is None:
            raise LocaltuneInternalError(f"A worker starts on a node that is unknown: {slot}")
        self._nodes.add_worker(agent, worker_id)
        if agent.stage is Stage.READY:
            agent.stage = Stage.OPEN
            self._tell(agent, Kind.OPEN, self._program, self._settings, self._imports)
        self._tell(agent, Kind.START, worker_id, messages.encode(command), slot.cpus)

    def send(self, worker_id: int, command: messages.Command) -> None:
        agent = self._nodes.of_worker(worker_id)
        if agent is not None and agent.stage is Stage.OPEN:
            self._tell(agent, Kind.SEND, worker_id, messages.encode(command))

    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        agent = self._nodes.of_worker(worker_id)
        if agent is not None and agent.stage is Stage.OPEN:
            self._tell(agent, Kind.STOP, worker_id, reason, force)

    def _tell(self, agent: AgentState, kind: Kind, *parts: Any) -> None:
        assert self._post is not None
        self._post.send(agent.node.node_id, (kind, *parts))

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        if not self._events:
            left_s = max(self._looked_at + _LOOK_S - time.monotonic(), 0.0)
            self._take_in(left_s if timeout_s is None else min(timeout_s, left_s))
        self._look_if_due()
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        inbox = self._inbox
        if inbox is not None:
            inbox.wake()

    def process_ids(self) -> dict[int, int]:
        return {
            worker_id: process_id
            for agent in self._nodes
            for worker_id, process_id in agent.workers.items()
            if process_id is not None
        }

    # -- what arrives -----------------------------------------------------------------------------

    def _take_in(self, timeout_s: float) -> None:
        assert self._inbox is not None
        for item in self._inbox.take(timeout_s):
            agent = self._nodes.get(item.node_id)
            if agent is None:
                continue
            if isinstance(item, AgentGone):
                self._lose(agent, item.why)
                continue
            for message in item.messages:
                _METHODS[message[0]](self, agent, *message[1:])

    def _take_hello(
        self, agent: AgentState, wire: int, theirs: dict[str, str], process_id: int
    ) -> None:
        ours = versions()
        if wire != WIRE_VERSION or theirs != ours:
            differing = [name for name in ours if theirs.get(name) != ours[name]]
            pairs = [f"{name} {theirs.get(name)}, not {ours[name]}" for name in differing]
            self._refuse(
                agent,
                f"it has {' and '.join(pairs) or 'another build of localtune'}. Install the "
                "versions of this machine there",
            )
            return
        assert self._post is not None
        self._post.open_line(agent.node.node_id)
        if self._storage is None:
            agent.stage = Stage.READY
            return
        agent.stage = Stage.CHECKING
        self._post.send(agent.node.node_id, self._storage.question(agent.node))

    def _take_checked(self, agent: AgentState, problem: str) -> None:
        if not problem:
            agent.stage = Stage.READY
            return
        assert self._storage is not None
        self._refuse(agent, self._storage.refusal(problem))

    def _take_opened(self, agent: AgentState, problem: str, most: int | None, why: str) -> None:
        if problem:
            self._lose(agent, f"its agent cannot prepare the run ({problem})")
        agent.most_workers, agent.why_no_more = most, why

    def _take_reply(self, agent: AgentState, worker_id: int, data: bytes) -> None:
        if worker_id in agent.workers:
            reply = messages.read_reply(data)
            if isinstance(reply, messages.Failed):
                place = f"This happened on the node {agent.node.name}."
                place += self._advice_on_modules(reply.message)
                reply.hint = f"{reply.hint}\n\n{place}" if reply.hint else place
            self._events.append(Replied(worker_id, reply))

    def _advice_on_modules(self, text: str) -> str:
        missing = _MISSING_MODULE.search(text)
        if missing is None:
            return ""
        upload = self._engine.how_to_upload
        return (
            f" It has no module {missing[1]}. Modules beside a script do not travel with it: "
            "install them on the nodes, or put their directory on the nodes' PYTHONPATH"
            f"{f', or upload them: {upload}' if upload else ''}."
        )

    def _take_exit(self, agent: AgentState, worker_id: int, parts: Sequence[Any]) -> None:
        if worker_id not in agent.workers:
            return
        exit = WorkerExit(*parts)
        if exit.exit_code in _ENDS_OF_NODES and not exit.note:
            agent.doubtful_exits[worker_id] = (time.monotonic(), exit)
        else:
            self._tell_exit(worker_id, exit)

    def _tell_exit(self, worker_id: int, exit: WorkerExit) -> None:
        self._nodes.remove_worker(worker_id)
        self._events.append(Exited(worker_id, exit))

    def _tell_certain_exits(self, agent: AgentState) -> None:
        """Tells the ends of workers that their agent has survived."""
        assert self._post is not None
        answered_at = self._post.answered_at(agent.node.node_id)
        for worker_id, (since, exit) in list(agent.doubtful_exits.items()):
            if since < answered_at:
                del agent.doubtful_exits[worker_id]
                self._tell_exit(worker_id, exit)

    def _take_output(self, agent: AgentState, lines: str, trial_id: str) -> None:
        self._on_output(lines, trial_id)

    def _take_warning(self, agent: AgentState, text: str) -> None:
        logger.warning("The node %s: %s", agent.node.name, text)

    def _take_process(self, agent: AgentState, worker_id: int, process_id: int) -> None:
        if worker_id in agent.workers:
            agent.workers[worker_id] = process_id

    # -- nodes ------------------------------------------------------------------------------------

    def _look_if_due(self) -> None:
        if time.monotonic() - self._looked_at >= _LOOK_S:
            self._look()

    def _look(self) -> None:
        """Looks at what changes with time."""
        self._looked_at = time.monotonic()
        self._look_at_nodes()
        for agent in self._nodes:
            if agent.doubtful_exits:
                self._tell_certain_exits(agent)
            if agent.stage is Stage.FENCED and self._looked_at >= agent.fenced_until:
                self._end_fence(agent)
            elif (
                agent.stage in (Stage.STARTING, Stage.CHECKING)
                and self._looked_at - agent.since > self._start_timeout_s
            ):
                self._lose(agent, f"{agent.stage.value} for too long")
        self._reservations.tidy()
        self._note_wait()

    def _look_at_nodes(self) -> None:
        for agent in self._nodes.update(self._engine.nodes()):
            self._start_agent(agent)
        for agent in self._nodes:
            if agent.has_left and agent.stage not in (Stage.FENCED, Stage.LEFT_OUT, Stage.REFUSED):
                self._lose(agent, "it has left the cluster")

    def _start_agent(self, agent: AgentState) -> None:
        assert self._inbox is not None
        agent.stage, agent.since = Stage.STARTING, time.monotonic()
        agent.most_workers = None
        self._inbox.expect(agent.node.node_id)
        self._engine.start_agent(agent.node.node_id)

    def _cut_off(self, agent: AgentState, why: str) -> float:
        """Ends an agent as far as it can be reached; returns when its lease has run out."""
        assert self._post is not None and self._inbox is not None
        node_id = agent.node.node_id
        agent.why = why
        self._inbox.forget(node_id)
        fenced_until = self._post.close_line(node_id)
        self._engine.stop_agent(node_id)
        return fenced_until

    def _refuse(self, agent: AgentState, why: str) -> None:
        self._cut_off(agent, why)
        agent.stage = Stage.REFUSED
        if not self._is_starting:  # Else it is an error, which names the node.
            logger.warning("The node %s is left out: %s.", agent.node.name, why)

    def _lose(self, agent: AgentState, why: str) -> None:
        """Takes in that an agent is gone, or cuts it off."""
        if agent.stage in (Stage.FENCED, Stage.REFUSED, Stage.LEFT_OUT):
            return
        fenced_until = self._cut_off(agent, why)
        agent.losses += 1
        # Without workers there is nothing to fence off.
        agent.fenced_until = fenced_until if agent.workers else 0.0
        agent.stage = Stage.FENCED
        self._last_loss = why
        if agent.workers:
            logger.warning(
                "The node %s is lost: %s. Its trials (%d) go on where there is room.",
                *(agent.node.name, why, len(agent.workers)),
            )

    def _end_fence(self, agent: AgentState) -> None:
        agent.doubtful_exits.clear()
        for worker_id in list(agent.workers):
            note = f"the node {agent.node.name} was lost: {agent.why}"
            self._tell_exit(worker_id, WorkerExit(None, note, node_lost=True))
        if agent.has_left:
            self._nodes.remove(agent)
        elif agent.losses > self._max_node_losses:
            agent.stage = Stage.LEFT_OUT
            logger.warning(
                "The node %s was lost %d times, and is left out from now on: %s.",
                *(agent.node.name, agent.losses, agent.why),
            )
        else:
            self._start_agent(agent)

    def _note_wait(self) -> None:
        if self._has_noted_wait or self._reservations.held_count:
            return
        if self._reservations.oldest_wait_s() > _NOTE_S:
            self._has_noted_wait = True
            logger.warning(
                "The cluster (%s) has granted this run no resources for %g s. Other jobs may hold "
                "them. The run waits.",
                *(self._engine.name, _NOTE_S),
            )


_METHODS: dict[int, Callable[..., None]] = {
    Kind.HELLO: ClusterExecutor._take_hello,
    Kind.CHECKED: ClusterExecutor._take_checked,
    Kind.OPENED: ClusterExecutor._take_opened,
    Kind.REPLIED: ClusterExecutor._take_reply,
    Kind.EXITED: ClusterExecutor._take_exit,
    Kind.OUTPUT: ClusterExecutor._take_output,
    Kind.PROCESS: ClusterExecutor._take_process,
    Kind.WARNING: ClusterExecutor._take_warning,
}


def _print_out(lines: str, trial_id: str) -> None:
    """Prints what workers print, where the run has no output of its own for it."""
    pass_on(lines)


def _shown(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(resources.items()))
