"""Placing: which nodes the bundles of a reservation go to, for engines that do not decide it.

Strategies, as :class:`~localtune.resources.PlacementGroupFactory` names them:

- ``PACK``: as few nodes as possible. ``STRICT_PACK``: one node.
- ``SPREAD``: as many nodes as possible. ``STRICT_SPREAD``: a node for each bundle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from localtune.execution.cluster.engine import Node, Place
from localtune.resources import Allocation, ResourcePool


class Pool(Protocol):
    """The resources of one node: see :class:`~localtune.resources.ResourcePool`."""

    @property
    def total(self) -> dict[str, float]:
        """All resources."""

    @property
    def used(self) -> dict[str, float]:
        """The taken ones."""

    def fits(self, request: Mapping[str, float]) -> bool:
        """Returns whether a request can be granted now."""

    def acquire(self, owner: str, request: Mapping[str, float]) -> Allocation:
        """Takes resources.

        Args:
            owner: Names the owner.
            request: ``{name: amount}``.
        """

    def release(self, owner: str) -> None:
        """Gives back the resources of an owner."""


@dataclass(slots=True)
class Reservation:
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
    """What was taken out of the pools: see :class:`Reservation`."""

    owners: list[tuple[str, str]]
    places: list[Place]


class Placing:
    """Places reservations on nodes, in the order in which they were asked for.

    A reservation that does not fit now does not hold up smaller ones behind it.

    Attributes:
        nodes: {node id: node} of all nodes.
        reservations: {key: reservation} of all reservations.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.reservations: dict[int, Reservation] = {}
        self._pools: dict[str, Pool] = {}
        self._numbers = itertools.count(1)

    def add(self, node: Node, gpu_ids: Sequence[str] | None = None) -> None:
        """Adds a node.

        Args:
            node: The node.
            gpu_ids: Its GPUs, as many as it counts; None numbers them.
        """
        self._add(node, ResourcePool(node.resources, gpu_ids))

    def _add(self, node: Node, pool: Pool) -> None:
        self.nodes[node.node_id] = node
        self._pools[node.node_id] = pool
        self.place_waiting()

    def remove(self, node_id: str) -> None:
        """Removes a node. Its reservations have no places any more."""
        self.nodes.pop(node_id, None)
        self._pools.pop(node_id, None)
        for reservation in self.reservations.values():
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
        self.reservations[key] = Reservation(bundles, strategy)
        return self._place(self.reservations[key])

    def places(self, key: int) -> Sequence[Place] | None:
        """Returns the places of a reservation; None while it has none."""
        return self.reservations[key].places

    def release(self, key: int) -> list[int]:
        """Removes a reservation; returns the keys of those that got their places by that."""
        self._free(self.reservations.pop(key))
        return self.place_waiting()

    def clear(self) -> None:
        """Removes all reservations."""
        for key in list(self.reservations):
            self._free(self.reservations.pop(key))

    def place_waiting(self) -> list[int]:
        """Places what fits now; returns the keys of the reservations that got their places."""
        waiting = [(key, each) for key, each in self.reservations.items()]
        return [key for key, each in waiting if each.places is None and self._place(each)]

    def _free(self, reservation: Reservation) -> None:
        self._give_back(reservation.owners)
        reservation.places, reservation.owners = None, ()

    def _place(self, reservation: Reservation) -> bool:
        taken = self._try(reservation) if not reservation.is_lost else None
        if taken is not None:
            reservation.owners, reservation.places = taken.owners, taken.places
        return taken is not None

    def _try(self, reservation: Reservation) -> _Taken | None:
        """Takes the resources of all bundles, or of none."""
        bundles, strategy = reservation.bundles, reservation.strategy
        count = len(bundles)
        if strategy in ("PACK", "STRICT_PACK"):
            # The fullest node with enough room, so that empty ones stay free for large requests.
            for node_id in self._ordered(fullest_first=True):
                taken = self._take(bundles, [[node_id]] * count)
                if taken is not None:
                    return taken
            if strategy == "STRICT_PACK":
                return None
        if strategy == "STRICT_SPREAD":
            return self._take(bundles, self._match(bundles))
        nodes = self._ordered(fullest_first=strategy == "PACK")
        return self._take(bundles, [nodes] * count, again=strategy == "PACK")

    def _ordered(self, *, fullest_first: bool) -> list[str]:
        """Returns the ids of all nodes, ordered by their free CPUs."""
        return sorted(self.nodes, key=self._free_cpus, reverse=not fullest_first)

    def _match(self, bundles: Sequence[Mapping[str, float]]) -> list[list[str]]:
        """Finds a node of its own for each bundle; some have none if there is no way to do it."""
        ordered = self._ordered(fullest_first=False)
        fits = [[each for each in ordered if self._pools[each].fits(bundle)] for bundle in bundles]
        bundle_of: dict[str, int] = {}

        def assign(index: int, tried: set[str]) -> bool:
            # An augmenting path: a bundle that has a node moves to another one.
            for node_id in fits[index]:
                if node_id not in tried:
                    tried.add(node_id)
                    if node_id not in bundle_of or assign(bundle_of[node_id], tried):
                        bundle_of[node_id] = index
                        return True
            return False

        for index in range(len(bundles)):
            assign(index, set())
        matched: list[list[str]] = [[] for _ in bundles]
        for node_id, index in bundle_of.items():
            matched[index].append(node_id)
        return matched

    def _take(
        self,
        bundles: Sequence[Mapping[str, float]],
        choices: Sequence[Sequence[str]],
        *,
        again: bool = False,
    ) -> _Taken | None:
        """Takes the resources of all bundles, or of none.

        Args:
            bundles: The bundles.
            choices: The nodes for each bundle, the best one first.
            again: Whether nodes that have one of the bundles come before the others, or after.
        """
        taken = _Taken([("", "")] * len(bundles), [Place("")] * len(bundles))
        used: list[str] = []
        for index in self._order(bundles, choices):
            bundle = bundles[index]
            ranked = sorted(choices[index], key=lambda each: (each in used) != again)
            node_id = next((each for each in ranked if self._pools[each].fits(bundle)), None)
            if node_id is None:
                self._give_back(taken.owners)
                return None
            owner = str(next(self._numbers))
            gpu_ids = self._pools[node_id].acquire(owner, bundle).gpu_ids
            taken.owners[index] = (node_id, owner)
            taken.places[index] = Place(node_id, gpu_ids)
            used.append(node_id)
        return taken

    def _order(
        self, bundles: Sequence[Mapping[str, float]], choices: Sequence[Sequence[str]]
    ) -> list[int]:
        """Returns the order in which the bundles get their nodes.

        Those with the fewest nodes to choose from come first, then the largest.
        """
        if len(bundles) == 1:
            return [0]
        room = [
            sum(self._pools[each].fits(bundle) for each in nodes)
            for bundle, nodes in zip(bundles, choices, strict=True)
        ]
        return sorted(
            range(len(bundles)), key=lambda each: (room[each], -max(bundles[each].values()))
        )

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
