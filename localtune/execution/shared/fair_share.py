"""Decides which of the sweeps on a machine takes what next. It knows numbers only.

::

      waiting sweeps, in this order             free resources
        smallest share                            |  takes its part, if all of it is free
        then the longest wait                     |  else keeps what is free of it: nobody behind
        then the id                               v  may take that
      the sweep that asks  -----------------> takes its part, or waits

The share of a sweep is the largest part that it holds of any resource: of the CPUs, of the GPUs, of
memory. So a sweep takes nothing for which one with less waits, and what falls free is collected for
a large request until it fits. As each sweep that is served gets behind all that hold less, each one
gets its turn, provided that trials end.

All sweeps of a ledger decide by the same rule from the same leases, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from localtune.execution.shared.leases import UNITS, Lease

# A sweep that has not asked for so many seconds keeps nobody waiting. One that waits asks each
# second at least.
FORGOTTEN_S = 5.0


def awake(leases: Iterable[Lease], now: float) -> list[Lease]:
    """Returns the leases, without the wishes of sweeps that have not asked for a while.

    Args:
        leases: The leases.
        now: The monotonic clock of the machine, in seconds.
    """
    return [
        lease
        if lease.wish is None or abs(now - lease.wish.asked_at) <= FORGOTTEN_S
        else _without_wish(lease)
        for lease in leases
    ]


def grant(leases: Sequence[Lease], lease_id: str) -> tuple[str, ...] | None:
    """Decides whether a sweep that waits may take what it waits for.

    Args:
        leases: All leases of the ledger.
        lease_id: The sweep; it has a wish.

    Returns:
        The ids of the GPUs for it, () without GPUs; None if it has to wait.
    """
    total = total_of(leases)
    free = _Free(total, leases)
    waiting = [(_order(lease, total), lease) for lease in leases if lease.wish is not None]
    for _, lease in sorted(waiting, key=lambda each: each[0]):
        assert lease.wish is not None
        gpu_ids = free.take(lease.wish.needs, lease.gpu_ids)
        if lease.lease_id == lease_id:
            return gpu_ids
        if gpu_ids is None:
            free.keep(lease.wish.needs, lease.gpu_ids)
    return None


def total_of(leases: Iterable[Lease]) -> dict[str, int]:
    """Returns all resources of the machine, in units: of each, the most that a sweep knows of."""
    total: dict[str, int] = {}
    gpu_ids: set[str] = set()
    for lease in leases:
        gpu_ids.update(lease.gpu_ids)
        for name, amount in lease.total.items():
            total[name] = max(total.get(name, 0), amount)
    # Sweeps may see different GPUs.
    total.pop("GPU", None)
    if gpu_ids:
        total["GPU"] = len(gpu_ids) * UNITS
    return total


def held(leases: Iterable[Lease]) -> dict[str, int]:
    """Returns what all sweeps hold together, in units."""
    amounts: dict[str, int] = {}
    for lease in leases:
        for name, amount in lease.holds.items():
            amounts[name] = amounts.get(name, 0) + amount
    return amounts


def share(lease: Lease, total: Mapping[str, int]) -> float:
    """Returns the largest part that a sweep holds of any resource, from 0 to 1.

    Args:
        lease: The lease of the sweep.
        total: All resources of the machine, in units.
    """
    parts = [amount / total[name] for name, amount in lease.holds.items() if total.get(name)]
    return max(parts, default=0.0)


def _order(lease: Lease, total: Mapping[str, int]) -> tuple[float, float, str]:
    assert lease.wish is not None
    return share(lease, total), lease.wish.since, lease.lease_id


def _without_wish(lease: Lease) -> Lease:
    from dataclasses import replace

    return replace(lease, wish=None)


class _Free:
    """What is free of a machine.

    Args:
        total: All resources, in units.
        leases: What is taken of them.
    """

    def __init__(self, total: Mapping[str, int], leases: Sequence[Lease]) -> None:
        taken = held(leases)
        # GPUs are counted one by one.
        self._amounts = {
            name: amount - taken.get(name, 0) for name, amount in total.items() if name != "GPU"
        }
        self._gpus = {gpu_id: UNITS for lease in leases for gpu_id in lease.gpu_ids}
        for lease in leases:
            for gpu_id, amount in lease.gpus.items():
                self._gpus[gpu_id] = self._gpus.get(gpu_id, UNITS) - amount

    def take(self, needs: Mapping[str, int], gpu_ids: Sequence[str]) -> tuple[str, ...] | None:
        """Takes all of a request; returns the GPUs for it, or None if not all of it is free."""
        chosen = self._choose(needs.get("GPU", 0), gpu_ids)
        others = [(name, amount) for name, amount in needs.items() if name != "GPU"]
        if chosen is None or any(self._amounts.get(name, 0) < amount for name, amount in others):
            return None
        for name, amount in others:
            self._amounts[name] -= amount
        for gpu_id in chosen:
            self._gpus[gpu_id] -= min(needs["GPU"], UNITS)
        return chosen

    def keep(self, needs: Mapping[str, int], gpu_ids: Sequence[str]) -> None:
        """Takes what is free of a request; of GPUs, those with the most room."""
        for name, amount in needs.items():
            if name != "GPU" and name in self._amounts:
                self._amounts[name] = max(self._amounts[name] - amount, 0)
        count = -(-needs.get("GPU", 0) // UNITS)
        for gpu_id in sorted(gpu_ids, key=lambda each: -self._gpus[each])[:count]:
            self._gpus[gpu_id] = 0

    def _choose(self, units: int, gpu_ids: Sequence[str]) -> tuple[str, ...] | None:
        if units == 0:
            return ()
        if units < UNITS:
            # The fullest GPU with enough room, so that unused ones stay free.
            room = [gpu_id for gpu_id in gpu_ids if self._gpus[gpu_id] >= units]
            return (min(room, key=self._gpus.__getitem__),) if room else None
        unused = [gpu_id for gpu_id in gpu_ids if self._gpus[gpu_id] == UNITS]
        count = units // UNITS
        return tuple(unused[:count]) if len(unused) >= count else None
