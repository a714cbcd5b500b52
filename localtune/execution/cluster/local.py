"""LocalEngine: a cluster whose nodes are agents on this machine; for tests and for trying out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence

from localtune.execution.cluster.engine import ClusterError, Engine, Inbox, Node, Place
from localtune.execution.cluster.placing import Placing
from localtune.execution.cluster.relay import Relay


class LocalEngine(Engine):
    """Runs an agent for each of some nodes that exist by name only.

    Args:
        nodes: The resources of each node, as ``{name: amount}``.

    Example:
        >>> engine = LocalEngine([{"CPU": 2}, {"CPU": 2}])
        >>> [node.name for node in engine.nodes()]
        ['node-1', 'node-2']
    """

    name = "processes of this machine"

    def __init__(self, nodes: Sequence[Mapping[str, float]]) -> None:
        self._numbers = itertools.count(1)
        self._placing = Placing()
        self._relays: dict[str, Relay] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._inbox: Inbox | None = None
        for resources in nodes:
            self.add_node(resources)

    # -- nodes that join and leave ----------------------------------------------------------------

    def add_node(self, resources: Mapping[str, float]) -> str:
        """Adds a node; returns its id."""
        node_id = f"node-{next(self._numbers)}"
        self._placing.add(Node(node_id, node_id, dict(resources)))
        self._tell()
        return node_id

    def remove_node(self, node_id: str) -> None:
        """Removes a node, and kills its agent as if the machine had lost its power."""
        self._placing.remove(node_id)
        if node_id in self._relays:
            self._relays[node_id].kill()
        self._tell()

    def agent_pids(self) -> dict[str, int]:
        """Returns {node id: process id} of the agents."""
        return {node_id: relay.agent_pid for node_id, relay in self._relays.items()}

    # -- the interface ----------------------------------------------------------------------------

    def connect(self) -> None:
        if not self._placing.nodes:
            raise ClusterError("nodes is empty: a cluster needs at least one node.")

    def listen(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def nodes(self) -> Sequence[Node]:
        return list(self._placing.nodes.values())

    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        self._placing.ask(key, bundles, strategy)
        self._tell()

    def places(self, key: int) -> Sequence[Place] | None:
        return self._placing.places(key)

    def release(self, key: int) -> None:
        self._placing.release(key)
        self._tell()

    def make_relay(self, node_id: str) -> Relay:
        """Hook: starts the agent of a node."""
        return Relay(node_id, self.agent_module)

    def start_agent(self, node_id: str) -> None:
        if node_id not in self._placing.nodes:
            if self._inbox is not None:
                self._inbox.agent_ended(node_id, "the node is gone")
            return
        try:
            relay = self.make_relay(node_id)
        except OSError as error:
            if self._inbox is not None:
                self._inbox.agent_ended(node_id, f"its agent cannot be started: {error}")
            return
        self._relays[node_id] = relay
        thread = threading.Thread(target=self._pump, args=(node_id, relay), daemon=True)
        self._threads[node_id] = thread
        thread.start()

    def send(self, node_id: str, data: bytes) -> None:
        relay = self._relays.get(node_id)
        if relay is not None:
            relay.write(data)

    def stop_agent(self, node_id: str) -> None:
        relay = self._relays.pop(node_id, None)
        if relay is not None:
            relay.close()
            self._threads.pop(node_id).join()

    def close(self) -> None:
        self._inbox = None
        for node_id in list(self._relays):
            self.stop_agent(node_id)
        self._placing.clear()

    def _tell(self) -> None:
        if self._inbox is not None:
            self._inbox.changed()

    def _pump(self, node_id: str, relay: Relay) -> None:
        while True:
            read = relay.read()
            inbox = self._inbox
            if read.data and inbox is not None:
                inbox.received(node_id, read.data)
            if read.ended:
                if inbox is not None and self._relays.get(node_id) is relay:
                    inbox.agent_ended(node_id, read.ended)
                return
