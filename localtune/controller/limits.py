"""How long steps and trials may take, and when failures are too many for a run to go on."""

from __future__ import annotations

from dataclasses import dataclass

from localtune.controller.workers import Phase, Worker
from localtune.error import TrialTimeoutError
from localtune.trial.trial import Trial

# Failures in a row, before any trial has given a single result, that end a run: each further
# trial would fail as well.
HOPELESS_COUNT = 20
# A trial that fails again and again waits no longer than this before the next try.
_MAX_RETRY_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """See :class:`localtune.FailureConfig`; None is no limit."""

    iteration_timeout_s: float | None = None
    trial_timeout_s: float | None = None
    retry_wait_s: float = 0.0
    max_failed_trials: int | None = None

    def overdue(self, worker: Worker, trial: Trial, now: float) -> TrialTimeoutError | None:
        """The error of a trial that takes too long, None if it does not.

        Args:
            worker: Serves the trial.
            trial: The trial.
            now: Reading of the clock that ``worker.busy_since`` is of, in seconds.
        """
        if worker.phase is Phase.AT_REST:
            return None
        elapsed_s = now - worker.busy_since
        total_s = trial.run_time_s + elapsed_s
        if self.iteration_timeout_s is not None and elapsed_s > self.iteration_timeout_s:
            rule = f"iteration_timeout_s={self.iteration_timeout_s:g}"
            text = f"Its {worker.phase.value} has not come back for {elapsed_s:.1f} s"
        elif self.trial_timeout_s is not None and total_s > self.trial_timeout_s:
            rule = f"trial_timeout_s={self.trial_timeout_s:g}"
            text = f"It has run for {total_s:.1f} s"
        else:
            return None
        error = TrialTimeoutError(
            f"{text}, and {rule} is set: the trial {trial} was ended. Give it more time, or find "
            f"out what it waits for.\n\nIts files are in {trial.path}",
            trial_id=trial.trial_id,
            trial_dir=trial.path,
        )
        error.is_final = rule.startswith("trial")
        return error

    def retry_wait(self, num_failures: int) -> float:
        """Seconds from a trial's n-th failure to its next try: twice as many each time."""
        if self.retry_wait_s <= 0:
            return 0.0
        return min(self.retry_wait_s * 2.0 ** min(num_failures - 1, 30), _MAX_RETRY_WAIT_S)


class FailureTally:
    """Counts failed trials, and says when the run should not go on.

    Args:
        limits: Of the run.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failed_count = 0
        self._has_result = False

    def note_result(self) -> None:
        """A trial has given a result."""
        self._has_result = True

    def note_failed_trial(self, trial: Trial, error: BaseException) -> str:
        """A trial has failed for good.

        Returns:
            Why the run should end, "" if it should not.
        """
        self._failed_count += 1
        limit = self._limits.max_failed_trials
        if limit is not None and 0 <= limit < self._failed_count:
            why = f"{self._failed_count} trials have failed, and max_failed_trials={limit} is set"
        elif limit is None and not self._has_result and self._failed_count == HOPELESS_COUNT:
            why = f"all {self._failed_count} trials so far have failed, and none has given a result"
        else:
            return ""
        return (
            f"The run ends early: {why}. The last one, {trial}, failed with:\n{error}\n"
            "Mend it and resume the run with resume_errored=True; max_failed_trials=-1 lets a run "
            "go on whatever fails."
        )
