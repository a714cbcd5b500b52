"""The best trials of a run, kept so that asking for them costs the same with any number."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.progress_reporter.values import comparable_metric_of

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

# (metric as a cost, order of the trial's first appearance, stamp of the entry, trial)
_Entry = tuple[float, int, int, "Trial"]


class Leaderboard:
    """Ranks trials by their latest value of one metric; the first of equals ranks higher.

    A trial is either active, and its value read when it is asked for, or settled, and its value
    kept in a heap. Only trials that come to rest cost anything (one push each), and :meth:`best`
    looks at the active ones and the top of the heap.

    Args:
        metric: Name of the metric, or None to rank nothing.
        mode: ``"min"`` or ``"max"``, or None to rank nothing.
    """

    def __init__(self, metric: str | None, mode: str | None) -> None:
        self._metric = metric if mode is not None else None
        self._sign = -1.0 if mode == "max" else 1.0
        self._active: dict[str, Trial] = {}
        self._order: dict[str, int] = {}
        self._settled: list[_Entry] = []
        # {trial id: stamp of its valid entry}; older entries are dropped when they surface.
        self._stamps: dict[str, int] = {}
        self._next_stamp = 0

    def activate(self, trial: Trial) -> None:
        """The trial runs: its value changes from now on."""
        self._order.setdefault(trial.trial_id, len(self._order))
        self._stamps.pop(trial.trial_id, None)
        self._active[trial.trial_id] = trial

    def settle(self, trial: Trial) -> None:
        """The trial rests or has ended: its value stays as it is."""
        self._order.setdefault(trial.trial_id, len(self._order))
        self._active.pop(trial.trial_id, None)
        self._stamps.pop(trial.trial_id, None)
        cost = self._cost(trial)
        if cost is None:
            return
        self._next_stamp += 1
        self._stamps[trial.trial_id] = self._next_stamp
        order = self._order[trial.trial_id]
        heapq.heappush(self._settled, (cost, order, self._next_stamp, trial))
        self._drop_outdated()

    def best(self, number: int) -> list[Trial]:
        """The best trials, best first: at most ``number``, less if few have a value."""
        entries = self._pop_settled(number)
        for entry in entries:
            heapq.heappush(self._settled, entry)
        for trial in self._active.values():
            cost = self._cost(trial)
            if cost is not None:
                entries.append((cost, self._order[trial.trial_id], 0, trial))
        return [entry[-1] for entry in heapq.nsmallest(number, entries, key=lambda each: each[:2])]

    def _pop_settled(self, number: int) -> list[_Entry]:
        taken: list[_Entry] = []
        while self._settled and len(taken) < number:
            entry = heapq.heappop(self._settled)
            if self._stamps.get(entry[-1].trial_id) == entry[2]:
                taken.append(entry)
        return taken

    def _drop_outdated(self) -> None:
        """Keeps trials that come to rest again and again from filling the heap."""
        if len(self._settled) > 2 * len(self._stamps) + 64:
            self._settled = [
                entry for entry in self._settled if self._stamps.get(entry[-1].trial_id) == entry[2]
            ]
            heapq.heapify(self._settled)

    def _cost(self, trial: Trial) -> float | None:
        if self._metric is None:
            return None
        value = comparable_metric_of(trial, self._metric)
        return None if value is None else self._sign * value


def rank(trials: Sequence[Trial], metric: str | None, mode: str | None) -> list[Trial]:
    """All trials that have a value of the metric, best first."""
    if metric is None or mode is None:
        return []
    sign = -1.0 if mode == "max" else 1.0
    valued = [(comparable_metric_of(trial, metric), trial) for trial in trials]
    costs = [(sign * value, trial) for value, trial in valued if value is not None]
    return [trial for _, trial in sorted(costs, key=lambda each: each[0])]
