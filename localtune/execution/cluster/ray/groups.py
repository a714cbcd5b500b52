"""Reservations in a cluster of Ray: its placement groups.

::

      engine                thread of calls                     Ray
        |  reserve            |                                  |
        |-------------------->|  a placement group ------------->|  holds the resources
        |                     |  its state? -------------------->|
        |                     |  a task in each bundle with GPUs |
        |                     |--------------------------------->|  "which ones are mine?"
        |  places <-----------|  granted                         |

A bundle holds the same GPUs for as long as its group exists, also when no task uses them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from localtune.execution.cluster.engine import Place

# How long to wait until the state of what was asked for is looked at again: this share of the time
# since then, within these limits.
_SHARE = 0.1
_LEAST_PAUSE_S = 0.02
_MOST_PAUSE_S = 1.0


class RayGroup:
    """One reservation.

    Args:
        bundles: ``{name: amount}`` for each bundle.
        strategy: How they are placed.

    Attributes:
        places: Where they are, once it is granted; None before that, and when a node is lost.
        is_released: Whether nobody wants it any more.
    """

    def __init__(self, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        # Ray takes no amounts of 0.
        self._bundles = [
            {name: amount for name, amount in bundle.items() if amount} for bundle in bundles
        ]
        self._strategy = strategy
        self._asked_at = time.monotonic()
        self._group: Any = None
        self._answers: list[Any] = []
        self._node_ids: list[str] = []
        self.places: tuple[Place, ...] | None = None
        self.is_released = False
        self.is_lost = False

    @property
    def pause_s(self) -> float:
        """After how many seconds to look at it again."""
        waits_s = time.monotonic() - self._asked_at
        return min(max(_SHARE * waits_s, _LEAST_PAUSE_S), _MOST_PAUSE_S)

    @property
    def is_waiting(self) -> bool:
        """Whether it may still be granted."""
        return self.places is None and not self.is_lost and not self.is_released

    def ask(self) -> None:
        """Asks Ray for it."""
        from ray.util.placement_group import placement_group

        if not self.is_released:
            self._group = placement_group(self._bundles, strategy=self._strategy)

    def look(self, ray: Any, ids_of_gpus: Any) -> None:
        """Looks whether it is granted.

        Args:
            ray: The module.
            ids_of_gpus: See :func:`gpu_function`.
        """
        from ray.util.placement_group import placement_group_table

        if self._group is None:
            return
        if not self._answers:
            state = placement_group_table(self._group)
            if state.get("state") != "CREATED":
                return
            found = state["bundles_to_node_id"]
            self._node_ids = [found[index] for index in range(len(self._bundles))]
            self._answers = self._ask_for_gpus(ids_of_gpus)
        done, _ = (
            ray.wait(self._answers, num_returns=len(self._answers), timeout=0)
            if (self._answers)
            else ([], [])
        )
        if len(done) < len(self._answers):
            return
        try:
            gpu_ids = iter(ray.get(self._answers))
        except ray.exceptions.RayError:
            self._answers = []  # A node is gone. Ray moves the group to others.
            return
        self.places = tuple(
            Place(node_id, tuple(next(gpu_ids)) if bundle.get("GPU") else ())
            for node_id, bundle in zip(self._node_ids, self._bundles, strict=True)
        )
        self._answers = []

    def look_for_loss(self, alive: Collection[str]) -> bool:
        """Notes that a node of it has gone.

        Args:
            alive: Ids of the nodes that are alive.

        Returns:
            Whether one has.
        """
        places = self.places
        if places is None or all(place.node_id in alive for place in places):
            return False
        self.places, self.is_lost = None, True
        return True

    def release(self) -> None:
        """Gives it back."""
        from ray.util.placement_group import remove_placement_group

        group, self._group = self._group, None
        if group is not None:
            remove_placement_group(group)

    def _ask_for_gpus(self, ids_of_gpus: Any) -> list[Any]:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return [
            ids_of_gpus.options(
                num_gpus=bundle["GPU"],
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    self._group, placement_group_bundle_index=index
                ),
            ).remote()
            for index, bundle in enumerate(self._bundles)
            if bundle.get("GPU")
        ]


def gpu_function(ray: Any) -> Any:
    """Returns the task that tells the ids of its GPUs; it travels to the nodes by value.

    Args:
        ray: The module.
    """

    def localtune_gpu_ids() -> list[str]:
        import ray

        return [str(each) for each in ray.get_gpu_ids()]

    return ray.remote(num_cpus=0)(localtune_gpu_ids)


def shortest_pause_s(groups: Collection[RayGroup], longest_s: float) -> float:
    """Returns after how many seconds to look at reservations again.

    Args:
        groups: The reservations.
        longest_s: The most seconds.
    """
    return min([longest_s, *(group.pause_s for group in groups if group.is_waiting)])
