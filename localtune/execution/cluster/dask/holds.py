"""Holds: the tasks on one Dask worker that keep its threads and declared resources for localtune.

::

      shares of reservations          holds (tasks)                     the worker
        A: CPU 0.5           ----\
        B: CPU 0.5           ----- >  hold 1: one thread             |  thread
        C: CPU 1, GPU 1      ------>  hold 2: one thread, GPU 1      |  thread, GPU

Dask gives whole threads to tasks, so all shares on a node are rounded up together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localtune.resources import Allocation, ResourcePool

# Amounts are compared with this much tolerance: 0.1 + 0.2 + 0.7 is 1.
_TOLERANCE = 1e-6
_numbers = itertools.count(1)


@dataclass(eq=False, slots=True)
class Hold:
    """A task that occupies one thread of a worker.

    Attributes:
        resources: The declared resources that it takes besides, as ``{name: amount}``.
        number: Unique in this process.
        runs: Whether it is known to run, so that Dask gives its resources to nobody else.
    """

    resources: dict[str, float]
    number: int = field(default_factory=_numbers.__next__)
    runs: bool = False


class NodeHolds:
    """The shares that reservations have of one node, and the tasks that hold them.

    It is the pool of its node.

    Args:
        resources: All resources of the node, as ``{name: amount}``.
        declared: Resources that Dask counts for this worker, beside threads.
        gpu_ids: Its GPUs, as many as the node's resources count.
        usable: Whether trials can run there. On a node that is not usable nothing is held: the
            attempt to start an agent tells the reason.

    Attributes:
        declared: See above.
        usable: See above.
        others: How many tasks of other jobs the worker has, as far as it is known.
    """

    def __init__(
        self,
        resources: Mapping[str, float],
        declared: Mapping[str, float],
        gpu_ids: Iterable[str] = (),
        *,
        usable: bool = True,
    ) -> None:
        self.usable = usable
        self.others = 0
        self._threads = int(resources.get("CPU", 0))
        self.declared = dict(declared)
        self._pool = ResourcePool(resources, list(gpu_ids))
        self._shares: dict[str, dict[str, float]] = {}
        self._holds: dict[int, Hold] = {}
        self._is_settled = True

    @property
    def total(self) -> dict[str, float]:
        """All resources."""
        return self._pool.total

    @property
    def used(self) -> dict[str, float]:
        """The resources that reservations have."""
        return self._pool.used

    def has_room(self) -> bool:
        """Returns whether the tasks of other jobs leave a thread for each hold and one more."""
        return self.others + len(self._holds) < self._threads

    def waits(self) -> bool:
        """Returns whether a hold does not run yet."""
        return any(not hold.runs for hold in self._holds.values())

    def fits(self, request: Mapping[str, float]) -> bool:
        """Returns whether there is room for one more share now."""
        if not self._pool.fits(request):
            return False
        lacking = self._lacking([*self._shares.values(), request])
        return len(self._holds) + len(lacking) <= self._threads

    def acquire(self, owner: str, request: Mapping[str, float]) -> Allocation:
        """Takes a share, in the books alone.

        Args:
            owner: Names the share.
            request: ``{name: amount}``.
        """
        self._shares[owner] = dict(request)
        self._is_settled = False
        return self._pool.acquire(owner, request)

    def release(self, owner: str) -> None:
        """Gives back a share."""
        self._pool.release(owner)
        del self._shares[owner]
        self._is_settled = False

    def settle(self) -> tuple[list[Hold], list[Hold]]:
        """Makes the tasks fit the shares.

        Returns:
            The tasks to start, and those to end.
        """
        if self._is_settled or not self.usable:
            return [], []
        self._is_settled = True
        ended = []
        by_use = sorted(
            self._holds.values(), key=lambda hold: (hold.runs, -len(hold.resources), -hold.number)
        )
        for hold in by_use:
            del self._holds[hold.number]
            if self._lacking(self._shares.values()):
                self._holds[hold.number] = hold
            else:
                ended.append(hold)
        started = self._lacking(self._shares.values())
        self._holds.update((hold.number, hold) for hold in started)
        return started, ended

    def runs(self, number: int) -> None:
        """Takes in that a task runs; does nothing if it was ended meanwhile."""
        if number in self._holds:
            self._holds[number].runs = True

    def covered(self, granted: set[str]) -> set[str]:
        """Returns the owners whose shares are held by tasks that run.

        Args:
            granted: Owners whose shares were covered before.
        """
        if not self.usable:
            return set(self._shares)
        running = [hold for hold in self._holds.values() if hold.runs]
        found: dict[str, dict[str, float]] = {}
        for owner, share in sorted(self._shares.items(), key=lambda each: each[0] not in granted):
            found[owner] = share
            if not self._covers(running, found.values()):
                del found[owner]
        return set(found)

    def _covers(self, holds: list[Hold], shares: Iterable[Mapping[str, float]]) -> bool:
        needed = self._needed(shares)
        threads = needed.pop("CPU")
        return len(holds) >= threads and all(
            _sum_of(name, (hold.resources for hold in holds)) >= amount - _TOLERANCE
            for name, amount in needed.items()
        )

    def _needed(self, shares: Iterable[Mapping[str, float]]) -> dict[str, float]:
        """What tasks must hold for some shares: whole units, as far as the worker has them."""
        shares = list(shares)
        needed: dict[str, float] = {"CPU": _round_up(_sum_of("CPU", shares))}
        for name, total in self.declared.items():
            amount = _sum_of(name, shares)
            if amount and name != "CPU":
                needed[name] = min(_round_up(amount), total)
        return needed

    def _lacking(self, shares: Iterable[Mapping[str, float]]) -> list[Hold]:
        """Tasks that are lacking to hold some shares."""
        needed = self._needed(shares)
        threads = int(needed.pop("CPU"))
        missing = {
            name: amount - held
            for name, amount in needed.items()
            if (held := _sum_of(name, (hold.resources for hold in self._holds.values())))
            < amount - _TOLERANCE
        }
        lacking = [Hold(missing)] if missing else []
        lacking += [Hold({}) for _ in range(threads - len(self._holds) - len(lacking))]
        return lacking


def _sum_of(name: str, amounts: Iterable[Mapping[str, float]]) -> float:
    return sum(each.get(name, 0.0) for each in amounts)


def _round_up(amount: float) -> int:
    return math.ceil(amount - _TOLERANCE)
