"""How long steps and trials may take, and when a run ends early."""

from __future__ import annotations

from localtune.config.failure import FailureConfig
from localtune.controller.workers import Phase, Worker
from localtune.error import TrialTimeoutError
from localtune.trial.trial import Trial

# A run ends after so many failed trials if none has reported a result: the others would fail, too.
HOPELESS_COUNT = 20
# The longest wait of a trial between a failure and its next try.
_MAX_RETRY_WAIT_S = 300.0


def overdue(
    config: FailureConfig, worker: Worker, trial: Trial, now: float
) -> TrialTimeoutError | None:
    """Returns the error of a trial that takes too long; None if it does not.

    Args:
        config: Has the limits.
        worker: Serves the trial.
        trial: The trial.
        now: Time by the clock that ``worker.busy_since`` was read from, in seconds.
    """
    if worker.phase is Phase.AT_REST:
        return None
    elapsed_s = now - worker.busy_since
    total_s = trial.run_time_s + elapsed_s
    if config.iteration_timeout_s is not None and elapsed_s > config.iteration_timeout_s:
        rule = f"iteration_timeout_s={config.iteration_timeout_s:g}"
        text = f"Its {worker.phase.value} has not come back for {elapsed_s:.1f} s"
    elif config.trial_timeout_s is not None and total_s > config.trial_timeout_s:
        rule = f"trial_timeout_s={config.trial_timeout_s:g}"
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


def retry_wait(config: FailureConfig, num_failures: int) -> float:
    """Returns the seconds from a trial's n-th failure to its next try: doubled each time.

    Args:
        config: Has the first wait.
        num_failures: How often the trial has failed.
    """
    if config.retry_wait_s <= 0:
        return 0.0
    return min(config.retry_wait_s * 2.0 ** min(num_failures - 1, 30), _MAX_RETRY_WAIT_S)


def why_too_many(config: FailureConfig, failed_count: int, *, has_result: bool) -> str:
    """Returns why a run ends after a trial has failed for good; "" if it goes on.

    Args:
        config: Has the limit.
        failed_count: How many trials have failed for good.
        has_result: Whether any trial has reported a result.
    """
    limit = config.max_failed_trials
    if limit is not None and 0 <= limit < failed_count:
        return f"{failed_count} trials have failed, and max_failed_trials={limit} is set"
    if limit is None and not has_result and failed_count == HOPELESS_COUNT:
        return f"all {failed_count} trials so far have failed, and none has given a result"
    return ""
