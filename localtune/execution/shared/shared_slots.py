"""SharedSlots: slots on a machine that several sweeps share.

::

      controller           SharedSlots                       ledger
          | reserve             |                                |
          |-------------------->|  fits into the own limits?     |
          |                     |  lock ------------------------>|
          |                     |  read the leases of others     |
          |                     |  who may take next? (fair_share.py)
          |                     |  write the own lease --------->|  holds more, or waits
          |<--------------------|  unlock                        |
          |  Slot, or None      |                                |
          |                     |                                |
          |   ... wait() of the executor ends after a moment while this sweep waits ...
          | reserve             |  has the ledger changed?       |

No call waits: if another sweep has locked the ledger, the request is repeated after a moment.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from localtune.error import LedgerError
from localtune.execution.local_slots import LocalSlots
from localtune.execution.shared.fair_share import awake, grant
from localtune.execution.shared.leases import (
    MAX_NAMES,
    MAX_TEXT,
    UNITS,
    Lease,
    LeaseError,
    Wish,
    encode,
    to_units,
)
from localtune.execution.shared.ledger import Ledger
from localtune.execution.shared.own_lease import OwnLease
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory, request_of
from localtune.utils.messages import get_logger

logger = get_logger(__name__)

# While this sweep waits: seconds until it looks again if another one has locked the ledger; between
# two looks at the time of the latest change; between two looks at all leases, since the end of a
# process changes no file.
_BUSY_S = 0.01
_GLANCE_S = 0.1
_LOOK_S = 0.5
# A wish is written again after this time.
_RENEW_S = 1.0
# Seconds between two looks after the own lease.
_LOOK_AFTER_S = 2.0
# So long the ledger may be locked by others before the user is told.
_LONGEST_LOCK_S = 10.0
# After an error of the disk.
_PAUSE_S = 1.0


class SharedSlots(LocalSlots):
    """Takes the resources of one machine from a ledger that several sweeps share.

    Args:
        num_cpus: See :class:`~localtune.execution.local_slots.LocalSlots`.
        num_gpus: Likewise.
        resources: Likewise.
        directory: The ledger of a group; None is the user's own.

    Raises:
        LedgerError: if the directory cannot be used.
        ValueError: for amounts that make no sense.
    """

    def __init__(
        self,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        directory: str | None = None,
    ) -> None:
        self._own: OwnLease | None = None
        self._wish: Wish | None = None
        self._needs: dict[int, tuple[dict[str, int], tuple[str, ...]]] = {}  # by number of the slot
        self._holds: Counter[str] = Counter()  # the sum of them
        self._gpus: Counter[str] = Counter()
        super().__init__(num_cpus, num_gpus, resources)
        total = to_units(self._total)
        self._first = Lease(
            "",
            os.getpid(),
            _command_line(),
            total=total,
            gpu_ids=self.gpu_ids,
        )
        self._check(self._first)
        self._ledger = Ledger(directory)
        self._told: set[str] = set()
        self._reset()

    @staticmethod
    def _check(lease: Lease) -> None:
        try:
            if max(len(lease.total), len(lease.gpu_ids)) > MAX_NAMES:
                raise LeaseError(f"it has more than {MAX_NAMES} names")
            encode(replace(lease, holds=lease.total, wish=Wish(lease.total, 0.0, 0.0)))
        except LeaseError as error:
            raise ValueError(
                f"resources have too many or too long names for a shared machine: {error}."
            ) from None

    def _reset(self) -> None:
        self._wish = None
        self._waits_with: PlacementGroupFactory | None = None
        self._look_at = self._look_in_full_at = 0.0
        self._waits_since_request = 0  # waits of the executor in which nothing was requested
        self._look_after_at = 0.0
        self._seen = 0  # the latest change of the ledger that was looked at
        self._is_unwritten = False
        self._busy_since: float | None = None

    def open(self) -> int | None:
        """Begins a run: makes its lease.

        Returns:
            The descriptor that each worker is to hold until it ends; None where there is none.

        Raises:
            LedgerError: if the lease cannot be made.
        """
        if self._own is None:
            self._reset()
            self._first = replace(self._first, pid=os.getpid(), since=time.time())
            self._own = OwnLease(self._ledger, self._first)
            try:
                self._ledger.remove_leftovers()
            except LedgerError:
                self.clear()
                raise
            except OSError:
                pass  # They take room only.
        return self._own.descriptor

    def clear(self) -> None:
        super().clear()
        self._needs.clear()
        self._holds.clear()
        self._gpus.clear()
        own, self._own = self._own, None
        if own is not None:
            own.close()

    # -- placement --------------------------------------------------------------------------------

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        if request is self._refused:
            return None
        needed = request_of(request)
        if self._is_full() or not self._pool.fits(needed):
            self._refused = request
            self._forget_wish()
            return None
        now = time.monotonic()
        self._waits_since_request = 0
        if request is self._waits_with and not self._may_have_room(now):
            return None
        self._waits_with = request
        gpu_ids = self._ask(to_units(needed), now)
        if gpu_ids is None:
            return None
        self._waits_with = None
        return self._take(request, needed, gpu_ids)

    def release(self, slot: Slot) -> None:
        super().release(slot)
        # It is written with what is taken next, or in the next wait.
        self._add(*self._needs.pop(slot.number), sign=-1)
        self._is_unwritten = True

    def may_keep(self, slot: Slot) -> bool:
        """Returns whether this sweep would get the slot again if it gave it back now."""
        own, now = self._own, time.monotonic()
        if own is None or slot.number not in self._needs:
            return True
        try:
            entries = self._ledger.entries(without=own.lease.lease_id)
        except OSError:
            return True
        others = awake([entry.lease for entry in entries if entry.lease is not None], now)
        if all(lease.wish is None for lease in others):
            return True
        needs, gpu_ids = self._needs[slot.number]
        self._add(needs, gpu_ids, sign=-1)
        mine = self._mine(Wish(needs, time.time(), now))
        self._add(needs, gpu_ids)
        return grant([*others, mine], mine.lease_id) is not None

    def why_no_more(self, request: PlacementGroupFactory) -> str:
        if self._wish is None or self._held:
            return super().why_no_more(request)
        return (
            "Other sweeps hold what the trials need. They start as trials of the others end. "
            "'localtune slots' shows who holds and who waits."
        )

    def _may_have_room(self, now: float) -> bool:
        """Returns whether it is time to ask the ledger again."""
        if now < self._look_at:
            return False
        if now >= self._look_in_full_at:
            return True
        self._look_at = now + _GLANCE_S
        try:
            return self._ledger.changed_at() != self._seen
        except OSError:
            return True  # The full look says what is wrong.

    # -- the ledger -------------------------------------------------------------------------------

    def _ask(self, needs: dict[str, int], now: float) -> tuple[str, ...] | None:
        """Asks for resources; returns the GPUs, or None if this sweep has to wait."""
        self.open()
        since = self._wish.since if self._wish is not None else time.time()
        self._look_at, self._look_in_full_at = now + _GLANCE_S, now + _LOOK_S
        try:
            with self._ledger.locked() as is_locked:
                if not is_locked:
                    self._note_busy(now)
                    return None
                self._busy_since = None
                return self._decide(Wish(needs, since, now), now)
        except OSError as error:
            self._tell(f"The ledger {self._ledger.path!r} cannot be used now: {error} Trials wait.")
            self._look_at = self._look_in_full_at = now + _PAUSE_S
            return None

    def _decide(self, wish: Wish, now: float) -> tuple[str, ...] | None:
        assert self._own is not None
        entries = self._ledger.entries(without=self._own.lease.lease_id, removes=True)
        others = [entry.lease for entry in entries if entry.lease is not None]
        mine = self._mine(wish)
        for entry in entries:
            if entry.lease is None:
                self._tell(
                    f"The lease {entry.path!r} is in use, but {entry.problem}. What its sweep "
                    "holds is not known, so trials wait until it has ended or has written its "
                    "lease anew."
                )
        gpu_ids = None
        if len(others) == len(entries):
            gpu_ids = grant([*awake(others, now), mine], mine.lease_id)
        if gpu_ids is None:
            old = self._wish
            is_new = old is None or old.needs != wish.needs or now - old.asked_at >= _RENEW_S
            if is_new or self._is_unwritten:
                self._write(mine)
            self._seen = self._ledger.changed_at()
            return None
        self._add(wish.needs, gpu_ids)
        try:
            self._write(self._mine(None, more_trials=1))
        except OSError:
            self._add(wish.needs, gpu_ids, sign=-1)
            raise
        return gpu_ids

    def _mine(self, wish: Wish | None, more_trials: int = 0) -> Lease:
        """Returns the own lease, with what the slots of this moment take."""
        assert self._own is not None
        return replace(
            self._own.lease,
            holds=+self._holds,
            gpus=+self._gpus,
            trials=len(self._needs) + more_trials,
            wish=wish,
        )

    def _add(self, needs: Mapping[str, int], gpu_ids: tuple[str, ...], *, sign: int = 1) -> None:
        """Adds a slot to what this sweep holds; subtracts it if ``sign`` is -1."""
        for name, amount in needs.items():
            self._holds[name] += sign * amount
        for gpu_id in gpu_ids:
            # A fraction of one GPU, or whole ones.
            self._gpus[gpu_id] += sign * min(needs["GPU"], UNITS)

    def _write(self, lease: Lease) -> None:
        assert self._own is not None
        self._own.write(lease)
        self._wish = lease.wish
        self._is_unwritten = False

    def _take(
        self, request: PlacementGroupFactory, needed: Mapping[str, float], gpu_ids: tuple[str, ...]
    ) -> Slot:
        slot = self._slot(request, needed, gpu_ids)
        self._needs[slot.number] = (to_units(needed), gpu_ids)
        return slot

    def look_after(self) -> float | None:
        """Writes what is due; called in each wait of the executor.

        Returns:
            Seconds until :meth:`reserve` may find room for what this sweep waits for; None if it
            waits for nothing.
        """
        own = self._own
        if own is None:
            return None
        now = time.monotonic()
        # The controller requests again after each wait, as long as it wants to start a trial.
        self._waits_since_request += 1
        if self._waits_since_request > 2:
            self._forget_wish()
        try:
            if self._is_unwritten:
                self._write(self._mine(self._wish))
            if now >= self._look_after_at:
                self._look_after_at = now + _LOOK_AFTER_S
                problem = own.look_after()
                if problem:
                    self._tell(
                        f"The lease of this sweep in {self._ledger.path!r} was changed by somebody "
                        f"else: {problem}. It is written anew. Leave the files of a ledger alone."
                    )
        except (OSError, NotImplementedError) as error:
            self._tell(f"The ledger {self._ledger.path!r} cannot be written now: {error}.")
            return _PAUSE_S
        return max(self._look_at - now, 0.0) if self._waits_with is not None else None

    def _forget_wish(self) -> None:
        self._waits_with = None
        if self._wish is not None:
            self._wish = None
            self._is_unwritten = True

    def _note_busy(self, now: float) -> None:
        self._look_at = self._look_in_full_at = now + _BUSY_S
        if self._busy_since is None:
            self._busy_since = now
        elif now - self._busy_since > _LONGEST_LOCK_S:
            self._tell(
                f"Another process has locked the ledger {self._ledger.path!r} for "
                f"{_LONGEST_LOCK_S:g} s. Trials wait. Is a sweep stopped (Ctrl-Z)?"
            )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning("%s", text)


def _command_line() -> str:
    path = sys.argv[0] if sys.argv else ""
    program = os.path.basename(path)
    if program == "__main__.py":  # python -m package
        program = os.path.basename(os.path.dirname(path))
    return shlex.join([program, *sys.argv[1:]])[:MAX_TEXT] or "python"
