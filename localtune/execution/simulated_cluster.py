"""SimulatedCluster: a simulated executor with nodes that join and leave.

::

      virtual time   0 s          40 s                 60 s
      node a         |------------- workers ------------X  leaves: its workers end with node_lost
      node b                      |--- workers ----------------->  joined
                                                       ^
                              wait(): the clock jumps to the next event, or to the next change
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localtune.execution.executor import WorkerEvent, WorkerExit
from localtune.execution.local_slots import LocalSlots
from localtune.execution.simulated import SimulatedExecutor
from localtune.execution.simulated_host import MakeTrainable
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.worker import messages


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """A node of a simulated cluster.

    Attributes:
        num_cpus: Its CPUs.
        num_gpus: Its GPUs.
        joins_s: When it joins, in virtual seconds.
        leaves_s: When it is lost with all its workers.
    """

    num_cpus: float
    num_gpus: float = 0
    joins_s: float = 0.0
    leaves_s: float = math.inf


@dataclass(slots=True, eq=False)
class _Node:
    """A node that has joined.

    Attributes:
        name: Its name.
        slots: Its resources.
        workers: The ids of the workers on it, the oldest first.
    """

    name: str
    slots: LocalSlots
    workers: dict[int, None] = field(default_factory=dict)


class SimulatedCluster(SimulatedExecutor):
    """Runs trials in virtual time, on nodes that come and go.

    All bundles of a trial are on one node.

    Args:
        make: See :class:`SimulatedExecutor`, as all other settings.
        nodes: The nodes. Their names are ``node-1``, ``node-2``, ..., in this order.
        notice_s: Virtual seconds from the loss of a node until its workers are known to have ended.
        **settings: See :class:`SimulatedExecutor`.

    Raises:
        ValueError: if a node leaves before it joins, or no node is there at the beginning.
    """

    def __init__(
        self,
        make: MakeTrainable,
        nodes: Sequence[SimulatedNode],
        *,
        notice_s: float = 0.0,
        **settings: Any,
    ) -> None:
        for node in nodes:
            if not 0 <= node.joins_s < node.leaves_s:
                raise ValueError(
                    "A node must join at 0 s or later, and leave after that, but got "
                    f"joins_s={node.joins_s!r} and leaves_s={node.leaves_s!r}."
                )
        if not any(node.joins_s == 0 for node in nodes):
            raise ValueError("nodes must hold a node that is there from 0 s on (joins_s=0).")
        super().__init__(make, num_cpus=0, **settings)
        self._notice_s = notice_s
        named = [(f"node-{number}", node) for number, node in enumerate(nodes, 1)]
        # (time, whether it leaves, name, node), the latest first; of one time, joins come first.
        self._changes = [(node.joins_s, False, name, node) for name, node in reversed(named)]
        self._changes += [(node.leaves_s, True, name, node) for name, node in reversed(named)]
        self._changes.sort(key=lambda change: (-change[0], not change[1]))
        self._nodes: dict[str, _Node] = {}
        self._held: dict[int, tuple[_Node, Slot]] = {}  # {number: the slot of the node itself}
        self._slot_numbers = itertools.count(1)
        # {request: nodes that may have room for it}. A run asks again after each event.
        self._open: dict[PlacementGroupFactory, dict[_Node, None]] = {}
        self._node_of: dict[int, _Node] = {}  # {worker id: its node}
        self._change_nodes()

    # -- placement --------------------------------------------------------------------------------

    def resources(self) -> Mapping[str, float]:
        total: dict[str, float] = {}
        for node in self._nodes.values():
            for name, amount in node.slots.resources().items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        candidates = self._open.get(request)
        if candidates is None:
            candidates = self._open[request] = dict.fromkeys(self._nodes.values())
        while candidates:
            node = next(iter(candidates))
            slot = node.slots.reserve(request)
            if slot is not None:
                number = next(self._slot_numbers)
                self._held[number] = node, slot
                return replace(slot, number=number, node=node.name)
            del candidates[node]
        return None

    def release(self, slot: Slot) -> None:
        node, inner = self._held.pop(slot.number)
        if node.name in self._nodes:
            node.slots.release(inner)
            for candidates in self._open.values():
                candidates[node] = None

    def why_never(self, request: PlacementGroupFactory) -> str:
        reasons = [node.slots.why_never(request) for node in self._nodes.values()]
        to_come = [node for _, leaves, _, node in self._changes if not leaves]
        reasons += [_slots_of(node).why_never(request) for node in to_come]
        if not reasons:
            return "All nodes of the simulated cluster have left."
        return reasons[0] if all(reasons) else ""

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        return ""

    # -- workers ----------------------------------------------------------------------------------

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        node = self._held[slot.number][0]
        super().start_worker(worker_id, command, slot)
        if node.name not in self._nodes:
            self._lose(worker_id, node)
        elif worker_id in self._hosts:
            node.workers[worker_id] = None
            self._node_of[worker_id] = node

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        if self._changes:
            change_s = self._changes[-1][0]
            left_s = max(change_s - self._clock.monotonic(), 0.0)
            is_next = self._next_due_s() > change_s
            if is_next and left_s < math.inf and (timeout_s is None or left_s <= timeout_s):
                events = super().wait(left_s)
                self._change_nodes()
                return events
        return super().wait(timeout_s)

    def close(self) -> None:
        super().close()
        self._held.clear()
        self._node_of.clear()
        self._open.clear()
        for node in self._nodes.values():
            node.slots.clear()
            node.workers.clear()

    # -- nodes ------------------------------------------------------------------------------------

    def _change_nodes(self) -> None:
        """Lets the nodes join and leave that are due."""
        now_s = self._clock.monotonic()
        while self._changes and self._changes[-1][0] <= now_s:
            _, leaves, name, node = self._changes.pop()
            if leaves:
                self._remove(self._nodes.pop(name))
                continue
            self._nodes[name] = joined = _Node(name, _slots_of(node))
            for candidates in self._open.values():
                candidates[joined] = None

    def _remove(self, node: _Node) -> None:
        for candidates in self._open.values():
            candidates.pop(node, None)
        for worker_id in node.workers:
            self._lose(worker_id, node)

    def _lose(self, worker_id: int, node: _Node) -> None:
        if worker_id in self._hosts:
            self._in_flight[worker_id].clear()
            lost = WorkerExit(None, f"{node.name} was lost", node_lost=True)
            self._end(worker_id, self._notice_s, [], lost)

    def _end(
        self, worker_id: int, duration_s: float, events: list[WorkerEvent], exit: WorkerExit
    ) -> None:
        super()._end(worker_id, duration_s, events, exit)
        node = self._node_of.pop(worker_id, None)
        if node is not None and node.name in self._nodes:
            del node.workers[worker_id]


def _slots_of(node: SimulatedNode) -> LocalSlots:
    return LocalSlots(node.num_cpus, node.num_gpus)
