"""Slots on this machine: one pool of resources, shared by all workers of a run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import SupportsFloat, SupportsIndex

from localtune.execution import machine
from localtune.execution.executor import Executor
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory, ResourcePool, request_of


class LocalSlots:
    """Counts the resources of one machine. It is a :class:`~.slots.Placement`.

    The bundles of a request are summed up, because they are all on one machine.

    Args:
        num_cpus: Number of CPUs; None is all that this process may use.
        num_gpus: Number of GPUs; None is all that ``CUDA_VISIBLE_DEVICES`` or the driver shows.
        resources: Further resources, ``{name: amount}``. The default of ``memory`` (bytes) is the
            machine's.

    Raises:
        ValueError: for a negative amount, or CPUs and GPUs under the name of other resources.

    Attributes:
        gpu_ids: Names of all GPUs, as ``CUDA_VISIBLE_DEVICES`` takes them.

    Example:
        >>> slots = LocalSlots(num_cpus=1, num_gpus=0)
        >>> one_cpu = PlacementGroupFactory([{"CPU": 1}])
        >>> slot = slots.reserve(one_cpu)
        >>> slots.reserve(one_cpu) is None
        True
        >>> slots.release(slot)
    """

    def __init__(
        self,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self._total, self.gpu_ids = declared_resources(num_cpus, num_gpus, resources)
        self._most_slots: int | None = None
        self._why_no_more = ""
        self._numbers = itertools.count(1)
        self.clear()

    def clear(self) -> None:
        """Takes back all slots."""
        self._pool = ResourcePool(self._total, self.gpu_ids)
        self._held: set[int] = set()  # numbers of the slots
        self._refused: PlacementGroupFactory | None = None  # does not fit as long as all stay

    def limit(self, most_slots: int | None, why: str = "") -> None:
        """Limits the number of slots at one time.

        Args:
            most_slots: The limit; None is no limit.
            why: The reason of the limit, as a clause for the user, with the remedy.
        """
        self._most_slots = most_slots
        self._why_no_more = why

    @property
    def most_slots(self) -> tuple[int | None, str]:
        """What was given to :meth:`limit`."""
        return self._most_slots, self._why_no_more

    def resources(self) -> Mapping[str, float]:
        return self._total

    def taken(self) -> Mapping[str, float]:
        """Returns the resources of all slots, ``{name: amount}``."""
        return self._pool.used

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        # A run asks again after each event, and most trials share one request object.
        if request is self._refused:
            return None
        needed = request_of(request)
        if self._is_full() or not self._pool.fits(needed):
            self._refused = request
            return None
        return self._slot(request, needed)

    def _slot(
        self,
        request: PlacementGroupFactory,
        needed: Mapping[str, float],
        gpu_ids: tuple[str, ...] | None = None,
    ) -> Slot:
        """Takes a slot that fits.

        Args:
            request: What the trial requests.
            needed: The sum of its bundles.
            gpu_ids: The GPUs for it; None chooses them.
        """
        number = next(self._numbers)
        gpu_ids = self._pool.acquire(str(number), needed, gpu_ids).gpu_ids
        self._held.add(number)
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpu_ids)} if self.gpu_ids else {}
        return Slot(number, request, needed.get("CPU", 0.0), gpu_ids, environment)

    def release(self, slot: Slot) -> None:
        self._held.remove(slot.number)
        self._pool.release(str(slot.number))
        self._refused = None

    def may_keep(self, slot: Slot) -> bool:
        return True

    def why_never(self, request: PlacementGroupFactory) -> str:
        return self._pool.explain_misfit(request_of(request))

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        if not self._is_full() or not self._pool.fits(request_of(request)):
            return ""
        most = "1 trial runs" if self._most_slots == 1 else f"{self._most_slots} trials run"
        return f"No more than {most} at once: {self._why_no_more}."

    def _is_full(self) -> bool:
        return self._most_slots is not None and len(self._held) >= self._most_slots


class LocalExecutor(Executor):
    """An executor whose workers share the resources of this machine.

    Subclasses call :meth:`LocalSlots.clear` of ``slots`` in ``close``.

    Args:
        num_cpus: See :class:`LocalSlots`.
        num_gpus: See :class:`LocalSlots`.
        resources: See :class:`LocalSlots`.
        slots: The slots; None counts those resources.

    Attributes:
        slots: The free and the taken resources.
    """

    def __init__(
        self,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        slots: LocalSlots | None = None,
    ) -> None:
        self.slots = LocalSlots(num_cpus, num_gpus, resources) if slots is None else slots

    def resources(self) -> Mapping[str, float]:
        return self.slots.resources()

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        return self.slots.reserve(request)

    def release(self, slot: Slot) -> None:
        self.slots.release(slot)

    def may_keep(self, slot: Slot) -> bool:
        return self.slots.may_keep(slot)

    def why_never(self, request: PlacementGroupFactory) -> str:
        return self.slots.why_never(request)

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        return self.slots.why_no_more(request)


def declared_resources(
    num_cpus: float | None, num_gpus: float | None, resources: Mapping[str, float] | None
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Returns all resources and the names of the GPUs, as declared or as the machine shows.

    Args:
        num_cpus: See :class:`LocalSlots`.
        num_gpus: See :class:`LocalSlots`.
        resources: See :class:`LocalSlots`.

    Raises:
        ValueError: as :class:`LocalSlots`.
    """
    for name, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus)):
        if value is not None and not _is_amount(value):
            raise ValueError(f"{name} must be at least 0, or None to detect, but got {value!r}.")
    if not isinstance(resources or {}, Mapping):
        raise ValueError(f"resources must be a dict of names and amounts, but got {resources!r}.")
    for name, amount in (resources or {}).items():
        if not isinstance(name, str):
            raise ValueError(f"resources must have texts as names, but got {name!r}.")
        if name.lower() in ("cpu", "gpu"):
            raise ValueError(f"resources names {name!r}: pass it as num_{name.lower()}s.")
        if not _is_amount(amount):
            raise ValueError(
                f"resources[{name!r}] must be a number of at least 0, but got {amount!r}."
            )
    total = {name: float(amount) for name, amount in (resources or {}).items()}
    ids = machine.gpu_ids()
    gpus = float(len(ids)) if num_gpus is None else float(num_gpus)
    while len(ids) < gpus:
        ids = (*ids, str(len(ids)))
    ids = ids[: math.ceil(gpus)]
    total["CPU"] = float(machine.cpu_count() if num_cpus is None else num_cpus)
    if gpus:
        total["GPU"] = gpus
    total.setdefault("memory", float(machine.memory_bytes()))
    return total, ids


def _is_amount(value: object) -> bool:
    return isinstance(value, (SupportsFloat, SupportsIndex)) and bool(float(value) >= 0)
