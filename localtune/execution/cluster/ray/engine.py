"""RayEngine: the nodes of a cluster of Ray.

::

      executor's thread      keeper (thread)          carrier (thread)        Ray
        |  reserve, release    |                        |                      |
        |--------------------->|  placement groups ---------------------------->| head node
        |  start_agent         |  an actor per node --------------------------->|
        |--------------------->|  once a second: the nodes -------------------->|
        |  send                |                        |                      |
        |---------------------------------------------->|  bytes ------------->| actors
        |  nodes, places       |                        |
        |<---- what was last known                      |  has the head node answered?

Only the keeper asks the head node, which may be away: then Ray lets it wait. Bytes go straight to
the actors, and come back in threads of Ray.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.execution.cluster.calls import CallThread
from localtune.execution.cluster.engine import ClusterError, Engine, Inbox, Node, Place
from localtune.execution.cluster.ray import connection
from localtune.execution.cluster.ray.agents import RayAgent, actor_class
from localtune.execution.cluster.ray.groups import RayGroup, gpu_function, shortest_pause_s
from localtune.execution.cluster.relay import END_TIMEOUT_S
from localtune.utils.text import text_of

# How often the nodes are looked at.
_LOOK_S = 1.0
# How long closing waits for the head node.
_CLOSE_S = 5.0
# Resources of Ray's own, which trials do not reserve.
_HIDDEN = frozenset({"object_store_memory", "node:__internal_head__"})


class RayEngine(Engine):
    """Connects to a cluster of Ray.

    Args:
        address: See :class:`~localtune.RayExecutor`, as the following three.
        runtime_env: The environment of the agents.
        autoscales: Whether nodes may join.
        head_timeout_s: How long the head node may be away, in seconds.

    Raises:
        ValueError: for an argument that makes no sense.
    """

    name = "Ray"
    how_to_upload = 'RayExecutor(runtime_env={"working_dir": "."})'

    def __init__(
        self,
        address: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        *,
        autoscales: bool = False,
        head_timeout_s: float = 40.0,
    ) -> None:
        if not head_timeout_s > 0:
            raise ValueError(
                f"head_timeout_s must be a number of seconds above 0, but got {head_timeout_s!r}."
            )
        self._address = address
        self._runtime_env = dict(runtime_env) if runtime_env is not None else None
        self._autoscales = autoscales
        self._head_timeout_s = head_timeout_s
        self._head_address = ""
        self._answered_at = 0.0
        self._looked_at = 0.0
        self._is_lost = False
        self._inbox: Inbox | None = None
        self._nodes: list[Node] = []
        self._groups: dict[int, RayGroup] = {}
        self._agents: dict[str, RayAgent] = {}
        self._keeper: CallThread | None = None
        self._carrier: CallThread | None = None
        self._ray: Any = None
        self._actor_class: Any = None
        self._gpu_function: Any = None

    def connect(self) -> None:
        if self._ray is not None and self._ray.is_initialized():
            if self._is_lost and not connection.answers(self._head_address):
                raise ClusterError(
                    f"The head node of the Ray cluster at {self._head_address} does not answer. "
                    "Call ray.shutdown(), and connect again when the cluster runs."
                )
            if not self._is_lost:
                return
        self._ray = connection.import_ray()
        self._head_address = connection.connect(self._address, self._runtime_env)
        self._answered_at = time.monotonic()
        self._is_lost = False
        self._actor_class = actor_class(self._ray)
        self._gpu_function = gpu_function(self._ray)
        self._nodes = self._alive_nodes()

    def listen(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._answered_at = time.monotonic()
        self._keeper = CallThread("localtune-ray-keeper", self._look)
        self._carrier = CallThread("localtune-ray-carrier", self._look_at_head)
        self._keeper.start()
        self._carrier.start()

    def nodes(self) -> Sequence[Node]:
        if self._keeper is None and not self._is_lost:
            self._nodes = self._alive_nodes()
        return self._nodes

    def grows(self) -> bool:
        return self._autoscales

    # -- reservations -----------------------------------------------------------------------------

    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        assert self._keeper is not None
        self._groups[key] = group = RayGroup(bundles, strategy)
        self._keeper.call(self._ask, group.ask)

    def places(self, key: int) -> Sequence[Place] | None:
        return self._groups[key].places

    def release(self, key: int) -> None:
        assert self._keeper is not None
        group = self._groups.pop(key)
        group.is_released = True
        self._keeper.call(self._ask, group.release)

    # -- agents -----------------------------------------------------------------------------------

    def start_agent(self, node_id: str) -> None:
        keeper, carrier, inbox = self._keeper, self._carrier, self._inbox
        assert keeper is not None and carrier is not None and inbox is not None
        agent = RayAgent(
            node_id,
            carrier.call,
            inbox,
            self._ray.is_initialized,
            lambda actor: keeper.call(self._ask, self._ray.kill, actor),
        )
        self._agents[node_id] = agent
        keeper.call(self._start, agent, carrier)

    def send(self, node_id: str, data: bytes) -> None:
        agent, carrier = self._agents.get(node_id), self._carrier
        if agent is not None and carrier is not None:
            carrier.call(agent.send, data)

    def stop_agent(self, node_id: str) -> None:
        agent = self._agents.pop(node_id, None)
        if agent is not None:
            agent.stop()

    def close(self) -> None:
        self._inbox = None
        agents, self._agents = list(self._agents.values()), {}
        for agent in agents:
            agent.stop()
        if self._keeper is None or self._carrier is None:
            return
        for key in list(self._groups):
            self.release(key)
        give_up_at = time.monotonic() + END_TIMEOUT_S + _CLOSE_S
        for agent in agents if not self._is_lost else ():
            agent.has_closed.wait(max(give_up_at - time.monotonic(), 0.0))
        self._carrier.close(_CLOSE_S)
        self._keeper.close(0.0 if self._is_lost else _CLOSE_S)
        self._keeper = self._carrier = None

    # -- in the thread of the keeper --------------------------------------------------------------

    def _ask(self, function: Any, *arguments: Any) -> Any:
        """Calls a function that needs the head node, once that answers."""
        while not self._has_head():
            if self._is_lost or self._inbox is None:
                return None
            time.sleep(0.2)
        result = function(*arguments)
        self._answered_at = time.monotonic()
        return result

    def _has_head(self) -> bool:
        return self._ray.is_initialized() and connection.answers(self._head_address)

    def _start(self, agent: RayAgent, carrier: CallThread) -> None:
        try:
            actor = self._ask(self._new_actor, agent.node_id)
        except Exception as error:
            carrier.call(agent.end, f"its actor cannot be started: {text_of(error)}")
            return
        if actor is None:
            carrier.call(agent.end, "the head node of the cluster does not answer")
        else:
            carrier.call(agent.begin, actor)

    def _new_actor(self, node_id: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {}
        environment = self._runtime_env
        if environment and not connection.has_environment(environment):
            options["runtime_env"] = environment
        names = {node.node_id: node.name for node in self._nodes}
        return self._actor_class.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False), **options
        ).remote(
            names.get(node_id, node_id),
            self.agent_module,
            list((self._runtime_env or {}).get("env_vars", ())),
        )

    def _look(self) -> float:
        inbox = self._inbox
        if inbox is None or self._is_lost or not self._has_head():
            return _LOOK_S / 2
        has_changed = False
        if time.monotonic() - self._looked_at >= _LOOK_S:
            nodes = self._alive_nodes()
            has_changed, self._nodes = nodes != self._nodes, nodes
            self._looked_at = time.monotonic()
        alive = {node.node_id for node in self._nodes}
        groups = list(self._groups.values())
        for group in groups:
            if group.is_waiting:
                group.look(self._ray, self._gpu_function)
                has_changed |= not group.is_waiting
            else:
                has_changed |= group.look_for_loss(alive)
        self._answered_at = time.monotonic()
        if has_changed:
            inbox.changed()
        return shortest_pause_s(groups, _LOOK_S)

    def _alive_nodes(self) -> list[Node]:
        found = [_node(each) for each in self._ray.nodes() if each["Alive"]]
        return sorted(found, key=lambda node: node.node_id)

    # -- in the thread of the carrier -------------------------------------------------------------

    def _look_at_head(self) -> float:
        """Notices that the head node is away for too long, also while the keeper waits for it."""
        pause_s = min(_LOOK_S, self._head_timeout_s / 4)
        inbox, away_s = self._inbox, time.monotonic() - self._answered_at
        if inbox is None or self._is_lost or away_s < self._head_timeout_s:
            return pause_s
        self._is_lost = True
        self._nodes = []
        for group in list(self._groups.values()):
            group.look_for_loss(())
        for agent in list(self._agents.values()):
            agent.end(f"the head node of the cluster has not answered for {away_s:.0f} s")
        inbox.changed()
        return pause_s


def _node(found: Mapping[str, Any]) -> Node:
    address = found["NodeManagerAddress"]
    name = found["NodeName"] if found["NodeName"] != address else found["NodeManagerHostname"]
    resources = {name: amount for name, amount in found["Resources"].items() if name not in _HIDDEN}
    return Node(found["NodeID"], name, resources, address)
