"""Leaderboard: the best trials of a run, at a cost that does not grow with the number of trials."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.progress_reporter.values import comparable_metric_of

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

# (cost, order of the trial's first appearance, stamp of the entry, trial); lower costs are better
_Entry = tuple[float, int, int, "Trial"]


class Leaderboard:
    """Ranks trials by their latest value of a metric; of equal ones the first ranks higher.

    A trial is active or settled. The value of an active trial is read at each call of
    :meth:`best`. The value of a settled trial is in a heap. So an event costs at most one push,
    and :meth:`best` reads the active trials and the top of the heap.

    Args:
        metric: Name of the metric; None ranks no trials.
        mode: ``"min"`` or ``"max"``; None ranks no trials.
    """

    def __init__(self, metric: str | None, mode: str | None) -> None:
        self._metric = metric if mode is not None else None
        self._sign = -1.0 if mode == "max" else 1.0
        self._active: dict[str, Trial] = {}
        self._order: dict[str, int] = {}
        self._settled: list[_Entry] = []
        # {trial id: stamp of its valid entry}; older entries are dropped when they are popped.
        self._stamps: dict[str, int] = {}
        self._next_stamp = 0

    def activate(self, trial: Trial) -> None:
        """Marks a trial as running, so that its value may change."""
        self._order.setdefault(trial.trial_id, len(self._order))
        self._stamps.pop(trial.trial_id, None)
        self._active[trial.trial_id] = trial

    def settle(self, trial: Trial) -> None:
        """Marks a trial as paused or ended, so that its value stays the same."""
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
        """Returns up to ``number`` trials with a value, the best first."""
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
        """Removes outdated entries when there are too many, as of trials that pause often."""
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
    """Returns all trials that have a value of a metric, the best first.

    Args:
        trials: The trials.
        metric: Name of the metric; None ranks no trials.
        mode: ``"min"`` or ``"max"``; None ranks no trials.
    """
    if metric is None or mode is None:
        return []
    sign = -1.0 if mode == "max" else 1.0
    valued = [(comparable_metric_of(trial, metric), trial) for trial in trials]
    costs = [(sign * value, trial) for value, trial in valued if value is not None]
    return [trial for _, trial in sorted(costs, key=lambda each: each[0])]
