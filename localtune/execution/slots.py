"""Slots: the places that an executor has for workers.

::

      controller                         executor (or what it places with)
          | reserve(request)                 |
          |--------------------------------->|  Slot: cpus, GPUs, node     or None: not now
          | start_worker(..., slot)          |
          |--------------------------------->|
          |   ... the worker has gone ...    |
          | release(slot)                    |
          |--------------------------------->|
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from localtune.resources import PlacementGroupFactory


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one worker, with the resources that it holds there.

    Attributes:
        number: Tells the slots of one executor apart.
        request: The request of the trial, with its bundles.
        cpus: How many CPUs the worker may use.
        gpu_ids: The GPUs that it may use, as ``CUDA_VISIBLE_DEVICES`` takes them.
        environment: Environment variables that each trial in this slot gets.
        node: The machine, by the name that the executor gives it; "" is this machine.
    """

    number: int
    request: PlacementGroupFactory
    cpus: float = 0.0
    gpu_ids: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    node: str = ""


class Placement(Protocol):
    """The part of an executor that places workers.

    All methods return at once.
    """

    def resources(self) -> Mapping[str, float]:
        """Returns {resource: amount} of all resources, free or not."""

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        """Reserves the resources of a request; returns None if they are not free now."""

    def release(self, slot: Slot) -> None:
        """Takes back a slot whose worker has ended, or was never started."""

    def may_keep(self, slot: Slot) -> bool:
        """Returns whether a worker whose trial has ended may serve the next one in its slot.

        If not, the slot is to be released: somebody else comes first.
        """

    def why_never(self, request: PlacementGroupFactory) -> str:
        """Returns why a request can never be met, for the user; "" if it can be some day.

        The answer may change during a run, for example when a cluster grows.
        """

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        """Returns why a request gets no slot although its resources are free; "" without a reason.

        The answer is a sentence for the user, with the remedy.
        """
