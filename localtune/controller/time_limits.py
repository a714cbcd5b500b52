"""TimeLimits: which running trials take too long, without a look at each of them in each turn.

::

      command --> no entry of its worker, or a later one --> entry at the limit that holds now
      the time of an entry has come --> its limit has come, too --> taken
                                    --> commands since then have moved the limit --> entry there

A command moves the limit of a step to a later time, so most commands need no new entry.
"""

from __future__ import annotations

import heapq
import math

from localtune.config.failure import FailureConfig
from localtune.controller.limits import limit_of
from localtune.controller.workers import Worker, WorkerTable

# So many entries may be of no use, beside one for each worker.
_MOST_STALE = 64


class TimeLimits:
    """The times from which the trials of a run take too long.

    Args:
        config: Has the limits.
        workers: The workers of the run, which know their commands.
    """

    def __init__(self, config: FailureConfig, workers: WorkerTable) -> None:
        self._config = config
        self._workers = workers
        self._entries: list[tuple[float, int]] = []  # heap of (time, worker id)
        self._earliest: dict[int, float] = {}  # {worker id: time of its first entry}

    def next(self) -> float | None:
        """Returns a time before which no trial takes too long; None if none ever does."""
        self._take_in_commands()
        return self._entries[0][0] if self._entries else None

    def take_over(self, now: float) -> list[Worker]:
        """Returns the workers whose trials take too long now, each once.

        Args:
            now: Time by the run's clock, in seconds.
        """
        self._take_in_commands()
        late = []
        while self._entries and self._entries[0][0] <= now:
            time, worker_id = heapq.heappop(self._entries)
            if self._earliest.get(worker_id) != time:
                continue  # There was an earlier one.
            del self._earliest[worker_id]
            worker = self._workers.get(worker_id)
            if worker is None:
                continue
            limit = self._limit_of(worker)
            if limit <= now:
                late.append(worker)
            else:
                self._enter(worker_id, limit)
        return late

    def _take_in_commands(self) -> None:
        for worker in self._workers.take_commanded():
            self._enter(worker.worker_id, self._limit_of(worker))

    def _limit_of(self, worker: Worker) -> float:
        trial = worker.trial
        return math.inf if trial is None else limit_of(self._config, worker, trial)

    def _enter(self, worker_id: int, limit: float) -> None:
        if limit < self._earliest.get(worker_id, math.inf):
            self._earliest[worker_id] = limit
            heapq.heappush(self._entries, (limit, worker_id))
            if len(self._entries) > 2 * len(self._workers) + _MOST_STALE:
                self._drop_stale()

    def _drop_stale(self) -> None:
        """Drops the entries of workers that have ended, and those that are not the first ones."""
        self._earliest = {
            worker_id: time
            for worker_id, time in self._earliest.items()
            if self._workers.get(worker_id) is not None
        }
        self._entries = [(time, worker_id) for worker_id, time in self._earliest.items()]
        heapq.heapify(self._entries)
