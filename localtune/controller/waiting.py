"""WaitingTrials: which trial is the next one to run, found without a search through all."""

from __future__ import annotations

import heapq
import itertools

from localtune.trial.status import Status
from localtune.trial.trial import Trial

WAITING = (Status.PENDING, Status.PAUSED)


class WaitingTrials:
    """Keeps the pending and the paused trials of a run in order. It decides nothing.

    A scheduler may ask for the next trial after each event, and thousands may run.

    Attributes:
        ids: {status: ids of the trials that have it}. With thousands of trials, counting anew at
            each event would take too long.
    """

    def __init__(self) -> None:
        self.ids: dict[Status, set[str]] = {status: set() for status in WAITING}
        self._numbers = itertools.count()
        self._live: dict[str, tuple[int, Trial]] = {}  # {trial id: its place in the order, it}
        # (place, trial id) by status. Entries of trials that have moved on stay for a while.
        self._heaps: dict[Status, list[tuple[int, str]]] = {status: [] for status in WAITING}

    def add(self, trial: Trial) -> None:
        """Puts a trial behind all others, also one that had a place before."""
        self._live[trial.trial_id] = next(self._numbers), trial
        self.note_status(trial)

    def note_status(self, trial: Trial) -> None:
        """Takes in that the status of a trial has changed."""
        for ids in self.ids.values():
            ids.discard(trial.trial_id)
        if trial.status in WAITING:
            self.ids[trial.status].add(trial.trial_id)
            place = self._live[trial.trial_id][0]
            heapq.heappush(self._heaps[trial.status], (place, trial.trial_id))

    def remove(self, trial: Trial) -> None:
        """Forgets a trial that has ended."""
        del self._live[trial.trial_id]

    def first(self, status: Status) -> Trial | None:
        """Returns the first trial that has a status; None if none has it.

        Args:
            status: ``PENDING`` or ``PAUSED``.
        """
        heap = self._heaps[status]
        while heap:
            place, trial_id = heap[0]
            known = self._live.get(trial_id)
            if known is not None and known[0] == place and known[1].status is status:
                return known[1]
            heapq.heappop(heap)
        return None

    def next(self) -> Trial | None:
        """Returns the first pending trial; the first paused one if none is pending; or None."""
        return self.first(Status.PENDING) or self.first(Status.PAUSED)
