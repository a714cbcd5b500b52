"""Placing: which nodes the bundles of a reservation go to, for engines that do not decide it.

Strategies, as :class:`~localtune.resources.PlacementGroupFactory` names them:

- ``PACK``: as few nodes as possible. ``STRICT_PACK``: one node.
- ``SPREAD``: as many nodes as possible. ``STRICT_SPREAD``: a node for each bundle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from localtune.execution.cluster.engine import Node, Place
from localtune.resources import ResourcePool


@dataclass(slots=True)
class _Reservation:
    """A reservation.

    Attributes:
        bundles: What it asks for.
        strategy: How the bundles are placed.
        places: Where they are; None while it waits.
        owners: (node id, owner in the node's pool) of each bundle.
        is_lost: Whether it had places, and a node of them has gone. It gets no others.
    """

    bundles: Sequence[Mapping[str, float]]
    strategy: str
    places: list[Place] | None = None
    owners: Sequence[tuple[str, str]] = ()
    is_lost: bool = False


@dataclass(slots=True)
class _Taken:
    """What was taken out of the pools: see :class:`_Reservation`."""

    owners: list[tuple[str, str]]
    places: list[Place]


class Placing:
    """Places reservations on nodes, in the order in which they were asked for.

    A reservation that does not fit now does not hold up smaller ones behind it.

    Attributes:
        nodes: {node id: node} of all nodes.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._pools: dict[str, ResourcePool] = {}
        self._reservations: dict[int, _Reservation] = {}
        self._numbers = itertools.count(1)

    def add(self, node: Node, gpu_ids: Sequence[str] | None = None) -> None:
        """Adds a node.

        Args:
            node: The node.
            gpu_ids: Its GPUs, as many as it counts; None numbers them.
        """
        self.nodes[node.node_id] = node
        self._pools[node.node_id] = ResourcePool(node.resources, gpu_ids)
        self.place_waiting()

    def remove(self, node_id: str) -> None:
        """Removes a node. Its reservations have no places any more."""
        self.nodes.pop(node_id, None)
        self._pools.pop(node_id, None)
        for reservation in self._reservations.values():
            if any(place.node_id == node_id for place in reservation.places or ()):
                reservation.is_lost = True
                self._free(reservation)

    def ask(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> bool:
        """Asks for a reservation.

        Args:
            key: Names the reservation.
            bundles: ``{name: amount}`` for each bundle.
            strategy: One of the strategies above.

        Returns:
            Whether it has its places already.
        """
        self._reservations[key] = _Reservation(bundles, strategy)
        return self._place(self._reservations[key])

    def places(self, key: int) -> Sequence[Place] | None:
        """Returns the places of a reservation; None while it has none."""
        return self._reservations[key].places

    def release(self, key: int) -> list[int]:
        """Removes a reservation; returns the keys of those that got their places by that."""
        self._free(self._reservations.pop(key))
        return self.place_waiting()

    def clear(self) -> None:
        """Removes all reservations."""
        for key in list(self._reservations):
            self._free(self._reservations.pop(key))

    def place_waiting(self) -> list[int]:
        """Places what fits now; returns the keys of the reservations that got their places."""
        waiting = [(key, each) for key, each in self._reservations.items()]
        return [key for key, each in waiting if each.places is None and self._place(each)]

    def _free(self, reservation: _Reservation) -> None:
        self._give_back(reservation.owners)
        reservation.places, reservation.owners = None, ()

    def _place(self, reservation: _Reservation) -> bool:
        taken = self._try(reservation) if not reservation.is_lost else None
        if taken is not None:
            reservation.owners, reservation.places = taken.owners, taken.places
        return taken is not None

    def _try(self, reservation: _Reservation) -> _Taken | None:
        """Takes the resources of all bundles, or of none."""
        bundles, strategy = reservation.bundles, reservation.strategy
        if strategy in ("PACK", "STRICT_PACK"):
            # The fullest node with enough room, so that empty ones stay free for large requests.
            for node_id in sorted(self.nodes, key=self._free_cpus):
                taken = self._take(bundles, lambda used, only=node_id: [only])  # type: ignore[misc]
                if taken is not None:
                    return taken
            if strategy == "STRICT_PACK":
                return None
        return self._take(bundles, lambda used: self._candidates(strategy, used))

    def _candidates(self, strategy: str, used: Collection[str]) -> list[str]:
        """Returns the nodes for the next bundle, the best one first.

        Args:
            strategy: The strategy.
            used: The nodes of the earlier bundles.
        """
        ordered = sorted(self.nodes, key=self._free_cpus, reverse=strategy != "PACK")
        unused = [node_id for node_id in ordered if node_id not in used]
        if strategy == "STRICT_SPREAD":
            return unused
        again = [node_id for node_id in ordered if node_id in used]
        return again + unused if strategy == "PACK" else unused + again

    def _take(
        self, bundles: Sequence[Mapping[str, float]], nodes_for: Callable[[list[str]], list[str]]
    ) -> _Taken | None:
        taken = _Taken([("", "")] * len(bundles), [Place("")] * len(bundles))
        used: list[str] = []
        # The largest bundle has the fewest nodes to choose from.
        for index in sorted(range(len(bundles)), key=lambda each: -max(bundles[each].values())):
            bundle = bundles[index]
            node_id = next((it for it in nodes_for(used) if self._pools[it].fits(bundle)), None)
            if node_id is None:
                self._give_back(taken.owners)
                return None
            owner = str(next(self._numbers))
            gpu_ids = self._pools[node_id].acquire(owner, bundle).gpu_ids
            taken.owners[index] = (node_id, owner)
            taken.places[index] = Place(node_id, gpu_ids)
            used.append(node_id)
        return taken

    def _free_cpus(self, node_id: str) -> float:
        pool = self._pools[node_id]
        return pool.total.get("CPU", 0.0) - pool.used.get("CPU", 0.0)

    def _give_back(self, owners: Sequence[tuple[str, str]]) -> None:
        for node_id, owner in owners:
            if node_id in self._pools:
                self._pools[node_id].release(owner)


def fits_somewhere(
    nodes: Iterable[Node], bundles: Sequence[Mapping[str, float]], strategy: str
) -> bool:
    """Returns whether nodes could hold bundles if nothing else ran on them.

    Args:
        nodes: The nodes.
        bundles: ``{name: amount}`` for each bundle.
        strategy: One of the strategies above.
    """
    placing = Placing()
    for node in nodes:
        placing.add(node)
    return placing.ask(0, bundles, strategy)
