"""MemoryWatch: kills a worker before the machine runs out of memory.

::

      once per check
        a worker's processes hold more than its trial asked for  ---> that worker goes
        the machine, or the cgroup, has less left than the reserve -> the youngest worker that
                                                                      holds enough to matter goes,
                                                                      one after the other

A check reads only the memory that is left, as long as that is enough and no trial requests memory.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from localtune.execution import machine
from localtune.execution.executor import WorkerExit
from localtune.execution.process.memory_usage import tree_bytes
from localtune.resources import request_of
from localtune.utils.signal_numbers import SIGKILL
from localtune.utils.text import format_bytes
from localtune.worker import messages

_MIB = 1024 * 1024

# The reserve: this share of the memory, within these bounds, and on the smallest machines no more
# than this share.
_RESERVE_SHARE = 0.03
_LEAST_RESERVE_BYTES = 200 * _MIB
_MOST_RESERVE_BYTES = 2048 * _MIB
_MOST_RESERVE_SHARE = 0.1

# Ending a worker that holds less than this, or than this share of the memory of the largest one,
# would not relieve the machine.
_RELEVANT_BYTES = 64 * _MIB
_RELEVANT_SHARE = 0.25

# Below so many reserves, memory is checked more often by this factor.
_NEAR_RESERVES = 4
_NEAR_FACTOR = 10
# Checks may take this share of the parent's time.
_MOST_TIME_SHARE = 0.02
# So many other workers are named; the rest is summed up.
_NAMED_COUNT = 5


_REMEDY = (
    "Run fewer trials at once (max_concurrent_trials, or a request for memory), or let them use "
    "less."
)


@dataclass(slots=True, eq=False)
class _Tenant:
    """A worker, as the watch sees it.

    Attributes:
        worker_id: The worker.
        trial_name: Name of the trial that it serves.
        limit_bytes: Memory that its trial has requested; None without a request.
        since: Grows with each trial that a worker gets: the youngest worker has the largest.
        pid: Its process.
        verdict: The reason why it is being killed, None if it is not.
    """

    worker_id: int
    trial_name: str
    limit_bytes: float | None
    since: int
    pid: int = 0
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A worker that is to be killed.

    Attributes:
        worker_id: The worker.
        note: The reason, with the figures.
        is_shortage: Whether the reason is the machine's lack of memory, not the trial's request.
    """

    worker_id: int
    note: str
    is_shortage: bool


class MemoryWatch:
    """Decides which worker is killed when memory runs short.

    Args:
        check_s: Seconds between two checks.
        reserve_bytes: Memory that must stay free. None is 3 % of the memory, at least 200 MiB (but
            no more than 10 %) and at most 2 GiB. With 0 no worker is killed for a lack of memory.
        left: Returns the bytes that are left on the machine.
        held_by: Returns the bytes that a process and its descendants hold. The second argument says
            whether to divide memory that they share with others.
    """

    def __init__(
        self,
        check_s: float,
        reserve_bytes: float | None = None,
        *,
        left: Callable[[], int] = machine.memory_left_bytes,
        held_by: Callable[[int, bool], int] = tree_bytes,
    ) -> None:
        if reserve_bytes is None:
            reserve_bytes = default_reserve_bytes(machine.memory_bytes())
        self._check_s = check_s
        self._reserve_bytes = reserve_bytes
        self._left = left
        self._held_by = held_by
        self._next_at = time.monotonic() + check_s
        self._tenants: dict[int, _Tenant] = {}
        self._numbers = itertools.count()
        self._oom_kill_count = machine.oom_kill_count()

    def assign(self, worker_id: int, assignment: messages.Assignment) -> None:
        """Notes the trial that a worker serves from now on.

        Args:
            worker_id: The worker.
            assignment: Names the trial, and the memory that it asks for.
        """
        trial = assignment.trial
        limit = request_of(trial.resources).get("memory") if trial.resources is not None else None
        tenant = _Tenant(worker_id, trial.trial_name, limit, next(self._numbers))
        self._tenants[worker_id] = tenant

    def release(self, worker_id: int, exit: WorkerExit) -> WorkerExit:
        """Notes that a worker has ended.

        Args:
            worker_id: The worker.
            exit: How it ended, as far as its launcher knows.

        Returns:
            The exit, with a note if a lack of memory was the cause.
        """
        tenant = self._tenants.pop(worker_id)
        if tenant.verdict is not None and exit.exit_code != 0:
            note, is_shortage = tenant.verdict.note, tenant.verdict.is_shortage
            return replace(exit, note=note, out_of_memory=is_shortage)
        if exit.exit_code != -SIGKILL:
            return exit
        count, self._oom_kill_count = self._oom_kill_count, machine.oom_kill_count()
        if exit.note or self._oom_kill_count <= count:
            return exit
        note = f"the kernel ended it, because memory ran out. {_REMEDY}"
        return replace(exit, note=note, out_of_memory=True)

    def seconds_left(self) -> float | None:
        """Returns the seconds until the next check; None without workers."""
        return max(self._next_at - time.monotonic(), 0.0) if self._tenants else None

    def look(self, process_ids: Mapping[int, int]) -> list[Verdict]:
        """Returns the workers that are to be killed now, with the reasons.

        Args:
            process_ids: {worker id: process id} of the workers that run.
        """
        began = time.monotonic()
        left = self._left()
        running = []
        for tenant in self._tenants.values():
            if tenant.worker_id in process_ids and tenant.verdict is None:
                tenant.pid = process_ids[tenant.worker_id]
                running.append(tenant)
        held: dict[int, int] = {}
        verdicts = self._over_request(running, left, held)
        # One at a time, because a worker that is being killed gives its memory back.
        is_freeing = any(each.verdict is not None for each in self._tenants.values())
        if not verdicts and not is_freeing and left < self._reserve_bytes:
            verdicts = self._shortage(running, left, held)
        for verdict in verdicts:
            self._tenants[verdict.worker_id].verdict = verdict
        is_near = left < _NEAR_RESERVES * self._reserve_bytes
        pause_s = self._check_s / (_NEAR_FACTOR if is_near else 1)
        now = time.monotonic()
        self._next_at = now + max(pause_s, (now - began) / _MOST_TIME_SHARE)
        return verdicts

    def _over_request(
        self, tenants: Sequence[_Tenant], left: int, held: dict[int, int]
    ) -> list[Verdict]:
        over = []
        for tenant in tenants:
            limit = tenant.limit_bytes
            if limit is None or self._measure(tenant, held) <= limit:
                continue
            # Shared memory is divided now, which takes longer.
            exact = self._held_by(tenant.pid, True)
            if exact > limit:
                held[tenant.worker_id] = exact
                over.append((tenant, limit))
        return [
            Verdict(
                tenant.worker_id,
                f"its processes held {format_bytes(held[tenant.worker_id])} of memory, and its "
                f"trial asked for {format_bytes(limit)}; {format_bytes(left)} was left. "
                f"{self._scene(tenant, tenants, held)} "
                'Ask for more (with_resources, "memory"), or let the trial use less.',
                is_shortage=False,
            )
            for tenant, limit in over
        ]

    def _shortage(
        self, tenants: Sequence[_Tenant], left: int, held: dict[int, int]
    ) -> list[Verdict]:
        amounts = [self._measure(tenant, held) for tenant in tenants]
        relevant = max(_RELEVANT_BYTES, _RELEVANT_SHARE * max(amounts, default=0))
        offenders = [each for each in tenants if held[each.worker_id] >= relevant]
        if not offenders:
            return []
        victim = max(offenders, key=lambda each: each.since)
        note = (
            f"memory ran short: {format_bytes(left)} was left, less than the reserve of "
            f"{format_bytes(self._reserve_bytes)}. Of the workers that held much this was the "
            f"youngest; its processes held {format_bytes(held[victim.worker_id])}. "
            f"{self._scene(victim, tenants, held)} {_REMEDY}"
        )
        return [Verdict(victim.worker_id, note, is_shortage=True)]

    def _scene(self, victim: _Tenant, tenants: Sequence[_Tenant], held: dict[int, int]) -> str:
        """Returns a sentence on the other workers and their memory."""
        others = [each for each in tenants if each is not victim]
        if not others:
            return "Nothing else ran."
        others.sort(key=lambda each: self._measure(each, held), reverse=True)
        named = [f"{each.trial_name} {format_bytes(held[each.worker_id])}" for each in others]
        if len(named) > _NAMED_COUNT:
            rest = others[_NAMED_COUNT:]
            total = format_bytes(sum(held[each.worker_id] for each in rest))
            named[_NAMED_COUNT:] = [f"{len(rest)} more {total}"]
        return f"Also running: {', '.join(named)}."

    def _measure(self, tenant: _Tenant, held: dict[int, int]) -> int:
        if tenant.worker_id not in held:
            held[tenant.worker_id] = self._held_by(tenant.pid, False)
        return held[tenant.worker_id]


def check_settings(check_s: float | None, reserve_bytes: float | None) -> None:
    """Checks settings of :class:`ProcessExecutor`.

    Args:
        check_s: ``memory_check_s``.
        reserve_bytes: ``memory_reserve_bytes``.

    Raises:
        ValueError: for a value out of its range.
    """
    if check_s is not None and not check_s > 0:
        raise ValueError(
            f"memory_check_s must be more than 0 seconds, or None to never look, but got {check_s}."
        )
    if reserve_bytes is not None and not reserve_bytes >= 0:
        raise ValueError(
            "memory_reserve_bytes must be at least 0, or None for the default, but got "
            f"{reserve_bytes}."
        )


def default_reserve_bytes(total_bytes: float) -> float:
    """Returns how many of ``total_bytes`` must stay free."""
    reserve = min(max(_RESERVE_SHARE * total_bytes, _LEAST_RESERVE_BYTES), _MOST_RESERVE_BYTES)
    return min(reserve, _MOST_RESERVE_SHARE * total_bytes)
