"""NodeTable: the nodes that a run knows, their agents, and the workers on them.

::

      (joins) --> STARTING --HELLO--> CHECKING --CHECKED--> READY --OPEN--> OPEN
                     |  |                |                    |              |
                     |  +--wrong version-+--> REFUSED         |              |
                     |                                        v              v
                     +--------------- gone or silent ------> FENCED --> STARTING, or LEFT_OUT

The workers of an agent that is FENCED may still run. Their ends are told when the agent's lease has
run out: from then on no process of theirs writes into a trial's directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from localtune.execution.cluster.engine import Node
from localtune.execution.cluster.reservations import Use
from localtune.execution.executor import WorkerExit


class Stage(Enum):
    """The state of a node's agent."""

    STARTING = "its agent is starting"
    CHECKING = "its agent looks for the storage"
    READY = "its agent waits for a trial"
    OPEN = "its agent runs trials"
    FENCED = "its agent is gone, and its lease may not have run out"
    REFUSED = "its agent is refused"
    LEFT_OUT = "its agent was lost too often"


_USABLE = (Stage.READY, Stage.OPEN)
_NEVER = (Stage.REFUSED, Stage.LEFT_OUT)


@dataclass(slots=True, eq=False)
class AgentState:
    """What is known of a node's agent.

    Attributes:
        node: The node.
        stage: Its stage.
        since: Since when, by the monotonic clock, in seconds.
        why: Why it is gone or refused, as a clause.
        losses: How often it was lost.
        workers: {worker id: process id, or None if it is not known yet}.
        doubtful_exits: {worker id: (when it was told, how the worker ended)} of the workers whose
            end may be that of the node.
        most_workers: How many workers may run there at once; None is any number.
        why_no_more: The reason.
        fenced_until: When its lease has run out.
        has_left: Whether the node itself is gone.
    """

    node: Node
    stage: Stage = Stage.STARTING
    since: float = 0.0
    why: str = ""
    losses: int = 0
    workers: dict[int, int | None] = field(default_factory=dict)
    doubtful_exits: dict[int, tuple[float, WorkerExit]] = field(default_factory=dict)
    most_workers: int | None = None
    why_no_more: str = ""
    fenced_until: float = 0.0
    has_left: bool = False

    @property
    def is_full(self) -> bool:
        """Whether no further worker may start there now."""
        return self.most_workers is not None and len(self.workers) >= self.most_workers

    @property
    def use(self) -> Use:
        """Whether a worker can start there."""
        if self.stage in _NEVER:
            return Use.NEVER
        if self.stage in _USABLE:
            return Use.SOON if self.is_full else Use.NOW
        return Use.PERHAPS if self.losses else Use.SOON


class NodeTable:
    """All nodes that a run has seen and that may be of use. It keeps books and decides nothing."""

    def __init__(self) -> None:
        self._agents: dict[str, AgentState] = {}
        self._by_worker: dict[int, AgentState] = {}

    def __iter__(self) -> Iterator[AgentState]:
        return iter(list(self._agents.values()))

    def __len__(self) -> int:
        return len(self._agents)

    def get(self, node_id: str) -> AgentState | None:
        """Returns the agent of a node; None if the node is unknown."""
        return self._agents.get(node_id)

    def of_worker(self, worker_id: int) -> AgentState | None:
        """Returns the agent of a worker; None if the worker has ended."""
        return self._by_worker.get(worker_id)

    def use_of(self, node_id: str) -> Use:
        """Returns whether a worker can start on a node."""
        agent = self._agents.get(node_id)
        return agent.use if agent is not None else Use.SOON

    def update(self, nodes: Iterable[Node]) -> list[AgentState]:
        """Takes in which nodes are alive.

        Returns:
            The agents of nodes that are new. Those of nodes that have gone have ``has_left`` set.
        """
        alive = {node.node_id: node for node in nodes}
        for agent in self:
            agent.has_left = agent.node.node_id not in alive
            if agent.has_left and agent.stage in _NEVER:
                del self._agents[agent.node.node_id]
        new = [AgentState(alive[each]) for each in alive.keys() - self._agents.keys()]
        new.sort(key=lambda agent: agent.node.node_id)
        self._agents.update((agent.node.node_id, agent) for agent in new)
        return new

    def remove(self, agent: AgentState) -> None:
        """Removes a node without workers."""
        del self._agents[agent.node.node_id]

    def add_worker(self, agent: AgentState, worker_id: int) -> None:
        """Notes that a worker runs on a node.

        Args:
            agent: The node's agent.
            worker_id: The worker.
        """
        agent.workers[worker_id] = None
        self._by_worker[worker_id] = agent

    def remove_worker(self, worker_id: int) -> None:
        """Notes that a worker has ended."""
        del self._by_worker[worker_id].workers[worker_id]
        del self._by_worker[worker_id]

    def clear(self) -> None:
        """Forgets all nodes and workers."""
        self._agents.clear()
        self._by_worker.clear()
