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
        request: What the trial asked for, bundle by bundle.
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
    """What the controller asks an executor about room for trials.

    All methods return at once: they count, and wait for no machine.
    """

    def resources(self) -> Mapping[str, float]:
        """All that there is to share now, free or not: {resource: amount}, for people to see."""

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        """Sets aside what a trial asks for; None if that is not free now."""

    def release(self, slot: Slot) -> None:
        """Takes back a slot whose worker has gone, or never started."""

    def why_never(self, request: PlacementGroupFactory) -> str:
        """Why a request can never be met, in a sentence or more; "" if it may be some day.

        The answer may change while a run goes on, for example when a cluster grows.
        """

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        """What keeps a request from a slot although the resources are free; "" if nothing does.

        The answer is a sentence for the user, which names the remedy.
        """
