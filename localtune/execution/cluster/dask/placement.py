"""HeldPlacing: on which Dask workers the bundles of reservations are, and which tasks hold them.

::

      [waits] ---a node has room, by the books---> [placed] ---all holds run---> [granted]
         ^                                            |                             |
         +------- node gone, or held up --------------+          [lost] <--node gone+

Dask knows no groups of tasks that start together, so localtune chooses the nodes itself. It knows
its own shares of them exactly, and the tasks of other jobs by their number.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from localtune.execution.cluster.dask.holds import Hold, NodeHolds
from localtune.execution.cluster.engine import Node, Place
from localtune.execution.cluster.placing import Placing, Reservation

# How long a placed reservation waits for other jobs before it may be placed elsewhere. Two runs
# that wait for what the other one holds do not give it back at the same time.
_PATIENCE_S = (3.0, 6.0)


class HoldChange(NamedTuple):
    """A task to start or to end.

    Attributes:
        node_id: Its node.
        hold: The task.
        starts: Whether to start it.
    """

    node_id: str
    hold: Hold
    starts: bool


@dataclass(slots=True)
class Changes:
    """What follows from an event.

    Attributes:
        holds: The tasks to start and to end.
        granted: Whether a reservation was granted.
    """

    holds: list[HoldChange] = field(default_factory=list)
    granted: bool = False


class HeldPlacing(Placing):
    """All reservations of an engine, and its nodes. One thread uses it.

    Attributes:
        holds: {node id: what is held there}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.holds: dict[str, NodeHolds] = {}
        self._granted: set[int] = set()
        self._patient_until: dict[int, float] = {}  # by key
        # Nodes where a task has waited too long, until one runs there. They may be cut off.
        self._slow: set[str] = set()
        self._paused: set[int] = set()

    def waiting(self) -> list[int]:
        """Returns the keys of the reservations that are not granted."""
        return [
            key
            for key, each in self.reservations.items()
            if key not in self._granted and not each.is_lost
        ]

    def unplaced(self) -> dict[int, Reservation]:
        """Returns the reservations for which no node has room."""
        found = {key: self.reservations[key] for key in self.waiting()}
        return {key: each for key, each in found.items() if each.places is None}

    def granted(self) -> dict[int, tuple[Place, ...]]:
        """Returns the places of the reservations that are granted."""
        return {key: tuple(self.reservations[key].places or ()) for key in self._granted}

    # -- events -----------------------------------------------------------------------------------

    def add_held(self, node: Node, holds: NodeHolds) -> None:
        """Adds a node.

        Args:
            node: The node.
            holds: What is held there.
        """
        self.holds[node.node_id] = holds
        self._add(node, holds)

    def remove(self, node_id: str) -> None:
        # Only what was granted is lost.
        for key in self.waiting():
            reservation = self.reservations[key]
            if any(place.node_id == node_id for place in reservation.places or ()):
                self._free(reservation)
        super().remove(node_id)
        self.holds.pop(node_id, None)
        self._slow.discard(node_id)
        self._granted -= {key for key, each in self.reservations.items() if each.is_lost}

    def release(self, key: int) -> list[int]:
        self._granted.discard(key)
        self._patient_until.pop(key, None)
        self._paused.discard(key)
        return super().release(key)

    def runs(self, node_id: str, number: int) -> None:
        """Takes in that a task runs.

        Args:
            node_id: Its node.
            number: Its number.
        """
        self.holds[node_id].runs(number)
        self._slow.discard(node_id)

    def lose_patience(self, now_s: float) -> None:
        """Takes back what has waited for long, so that it may be placed elsewhere.

        What holds one node and waits for another is given back for a while: the other job may
        wait for this one. What is on one node stays, unless another node has room.

        Args:
            now_s: The time of a monotonic clock.
        """
        for key in self.waiting():
            reservation = self.reservations[key]
            until = self._patient_until.setdefault(key, now_s + random.uniform(*_PATIENCE_S))
            if now_s < until:
                continue
            self._patient_until[key] = now_s + random.uniform(*_PATIENCE_S)
            used = {place.node_id for place in reservation.places or ()}
            waits = [self.holds[node_id].waits() for node_id in used]
            self._slow.update(node_id for node_id in used if self.holds[node_id].waits())
            if key in self._paused:
                self._paused.discard(key)
            elif len(used) > 1 and not all(waits):
                self._free(reservation)
                self._paused.add(key)
            elif used and any(
                holds.has_room() for node_id, holds in self.holds.items() if node_id not in used
            ):
                self._free(reservation)

    def settle(self) -> Changes:
        """Places what can be placed, and finds what is granted."""
        changes = Changes()
        # Tasks of a reservation that was given back serve the next one as they are, if they can.
        # Only what has no room beside them is placed after they have been ended.
        for _ in range(2):
            self.place_waiting()
            for node_id, holds in self.holds.items():
                started, ended = holds.settle()
                changes.holds += [HoldChange(node_id, hold, True) for hold in started]
                changes.holds += [HoldChange(node_id, hold, False) for hold in ended]
        changes.granted = self._grant()
        return changes

    def _grant(self) -> bool:
        granted = {owner for key in self._granted for _, owner in self.reservations[key].owners}
        placed = {key: each for key in self.waiting() if (each := self.reservations[key]).owners}
        used = {node_id for each in placed.values() for node_id, _ in each.owners}
        covered = {owner for node_id in used for owner in self.holds[node_id].covered(granted)}
        news = [
            key
            for key, each in placed.items()
            if covered.issuperset(owner for _, owner in each.owners)
        ]
        self._granted.update(news)
        return bool(news)

    # -- placing ----------------------------------------------------------------------------------

    def place_waiting(self) -> list[int]:
        return [
            key
            for key, each in self.unplaced().items()
            if key not in self._paused and self._place(each)
        ]

    def _ordered(self, *, fullest_first: bool) -> list[str]:
        ordered = super()._ordered(fullest_first=fullest_first)
        # Nodes on which no trial can run come into play when there are no others: they are granted,
        # and the attempt to start an agent tells the reason.
        usable = [node_id for node_id in ordered if self.holds[node_id].usable] or ordered
        return sorted(
            usable, key=lambda each: (each in self._slow, not self.holds[each].has_room())
        )


def threads_of(bundles: Sequence[Mapping[str, float]]) -> int:
    """Returns how many threads bundles need, at least 1."""
    return max(1, round(sum(bundle.get("CPU", 0.0) for bundle in bundles)))
