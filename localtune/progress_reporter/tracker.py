"""TrialTracker: the numbers of trials by status, and the parameters that vary among them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.progress_reporter.curve import Curve
from localtune.progress_reporter.leaderboard import Leaderboard
from localtune.progress_reporter.values import parameters_of
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of trials by status."""

    running: int
    pending: int
    paused: int
    finished: int
    failed: int

    @property
    def ended(self) -> int:
        """Number of trials that will not run again."""
        return self.finished + self.failed

    @property
    def all(self) -> int:
        """Number of all trials so far."""
        return self.running + self.pending + self.paused + self.ended


class TrialTracker:
    """Follows a run through the hooks of a callback.

    The cost of an event, and of reading the numbers, does not grow with the number of trials.
    Only :meth:`add_earlier` iterates over all trials; it is called once.

    Args:
        metric: Metric of the run, or None.
        mode: ``"min"`` or ``"max"``, or None.
    """

    def __init__(self, metric: str | None, mode: str | None) -> None:
        self.leaderboard = Leaderboard(metric, mode)
        self.running: dict[str, Trial] = {}
        self.curves: dict[str, Curve] = {}
        self._status: dict[str, Status] = {}  # {trial id: status}; pending trials are left out
        self._counts = dict.fromkeys(Status, 0)
        self._first_values: dict[str, Any] = {}
        self._varying: set[str] = set()
        self._ended_before = 0

    def add_earlier(self, trials: Iterable[Trial]) -> None:
        """Adds the trials of an earlier session, whose events are not repeated."""
        for trial in trials:
            if trial.status in (Status.PAUSED, Status.TERMINATED, Status.ERROR):
                self._move(trial, trial.status)
                self._note_parameters(trial)
        self._ended_before = self._ended

    def started(self, trial: Trial) -> bool:
        """Notes that a worker serves a trial; returns whether it is the trial's first worker."""
        is_new = trial.trial_id not in self._status
        self._move(trial, Status.RUNNING)
        if is_new:
            self._note_parameters(trial)
        return is_new

    def add_value(self, trial: Trial, iteration: object, value: float | None) -> None:
        """Adds a reported value of the metric to a trial's curve.

        Args:
            trial: The trial.
            iteration: Iteration of the result.
            value: The value; None if it is no number.
        """
        if iteration == 1:  # The trial may have started from scratch again.
            self.curves.pop(trial.trial_id, None)
        if value is not None and math.isfinite(value):
            self.curves.setdefault(trial.trial_id, Curve()).add(value)

    def set_status(self, trial: Trial, status: Status) -> None:
        """Notes that a trial has ended, or waits for a retry.

        Args:
            trial: The trial.
            status: Its new status.
        """
        self._move(trial, status)

    def newly_paused(self) -> list[Trial]:
        """Returns the trials that were paused since the last call; there is no hook for pauses."""
        left = [trial for trial in self.running.values() if trial.status in _LEFT]
        for trial in left:
            self._move(trial, trial.status)
        return [trial for trial in left if trial.status is Status.PAUSED]

    def counts(self, known: int) -> Counts:
        """Returns the current numbers.

        Args:
            known: Number of existing trials.
        """
        running, paused = self._counts[Status.RUNNING], self._counts[Status.PAUSED]
        finished, failed = self._counts[Status.TERMINATED], self._counts[Status.ERROR]
        pending = max(known - running - paused - finished - failed, 0)
        return Counts(running, pending, paused, finished, failed)

    @property
    def ended_now(self) -> int:
        """Number of trials that ended in this session."""
        return self._ended - self._ended_before

    @property
    def shown_parameters(self) -> list[str]:
        """Names of the parameters that vary; of all parameters if none varies yet."""
        names = list(self._first_values)
        return [name for name in names if name in self._varying] or names

    @property
    def _ended(self) -> int:
        return self._counts[Status.TERMINATED] + self._counts[Status.ERROR]

    def _move(self, trial: Trial, status: Status) -> None:
        old = self._status.get(trial.trial_id)
        if old is not None:
            self._counts[old] -= 1
        self._counts[status] += 1
        self._status[trial.trial_id] = status
        if status is Status.RUNNING:
            self.running[trial.trial_id] = trial
            self.leaderboard.activate(trial)
        else:
            self.running.pop(trial.trial_id, None)
            self.leaderboard.settle(trial)

    def _note_parameters(self, trial: Trial) -> None:
        for name, value in parameters_of(trial).items():
            if name in self._varying:
                continue
            first = self._first_values.setdefault(name, value)
            if first is not value and not _equal(first, value):
                self._varying.add(name)


_LEFT = frozenset({Status.PAUSED, Status.TERMINATED, Status.ERROR})


def _equal(first: Any, second: Any) -> bool:
    try:
        return bool(first == second)
    except Exception:  # Comparing arrays gives no single truth value.
        return False
