"""The first trial of a check: some steps, and a checkpoint on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from localtune.result import DONE, RESULT_DUPLICATE
from localtune.running.bench import Fault, SavedCheckpoint, Worker

ITERATIONS = 2
# How long a function may go on to report, so that its end is seen.
_AWAIT_END_S = 1.0
_MAX_REPORTS = 1000


@dataclass
class Life:
    """Observations of the first worker.

    Attributes:
        is_function: Whether a function runs.
        results: Its results, in order.
        has_ended: Whether the function returned, or the trial said that it is done.
        saved: Its first checkpoint, if it has one.
        saved_after: Number of results before that checkpoint.
        save_fault: Why it could not be saved.
        iteration_s: Seconds of the longest iteration.
    """

    is_function: bool
    results: list[dict[str, Any]] = field(default_factory=list)
    has_ended: bool = False
    saved: SavedCheckpoint | None = None
    saved_after: int = 0
    save_fault: Fault | None = None
    iteration_s: float = 0.0

    @property
    def following(self) -> dict[str, Any] | None:
        """The result that came after the checkpoint."""
        has_one = self.saved is not None and len(self.results) > self.saved_after
        return self.results[self.saved_after] if has_one else None

    def live(self, worker: Worker) -> None:
        """Runs some steps in the worker, and saves one checkpoint.

        Raises:
            Fault: if a step fails.
            OutOfTime: if it takes too long.
        """
        for _ in range(ITERATIONS):
            self._step(worker)
            if self.saved is None and self.save_fault is None and not self._has_returned:
                self._save(worker)
            if self.has_ended:
                return
        if self.saved_after == len(self.results):
            self._step(worker)
        until = time.monotonic() + _AWAIT_END_S
        while self.is_function and not self.has_ended:
            if time.monotonic() > until or len(self.results) > _MAX_REPORTS:
                return
            self._step(worker)

    @property
    def _has_returned(self) -> bool:
        last = self.results[-1] if self.results else {}
        return self.is_function and self.has_ended and not last.get(DONE)

    def _step(self, worker: Worker) -> None:
        started = time.monotonic()
        result = worker.train()
        self.iteration_s = max(self.iteration_s, time.monotonic() - started)
        self.has_ended = RESULT_DUPLICATE in result or bool(result.get(DONE))
        if RESULT_DUPLICATE not in result:
            self.results.append(result)

    def _save(self, worker: Worker) -> None:
        try:
            saved = worker.save()
        except Fault as fault:
            self.save_fault = fault
            return
        if saved.path is not None:
            self.saved, self.saved_after = saved, len(self.results)
