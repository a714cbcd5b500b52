"""How long steps and trials may take, and when a run ends early."""

from __future__ import annotations

import math

from localtune.config.failure import FailureConfig
from localtune.controller.workers import Phase, Worker
from localtune.error import TrialTimeoutError
from localtune.trial.trial import Trial
from localtune.utils.temporary import files_text

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
    if now < limit_of(config, worker, trial):
        return None
    elapsed_s = now - worker.busy_since
    if now >= _end_of_step(config, worker):
        rule = f"iteration_timeout_s={config.iteration_timeout_s:g}"
        text = f"Its {worker.phase.value} has not come back for {elapsed_s:.1f} s"
    else:
        rule = f"trial_timeout_s={config.trial_timeout_s:g}"
        text = f"It has run for {trial.run_time_s + elapsed_s:.1f} s"
    error = TrialTimeoutError(
        f"{text}, and {rule} is set: the trial {trial} was ended. Give it more time, or find "
        f"out what it waits for.{files_text(trial.path)}",
        trial_id=trial.trial_id,
        trial_dir=trial.path,
    )
    error.is_final = rule.startswith("trial")
    return error


def limit_of(config: FailureConfig, worker: Worker, trial: Trial) -> float:
    """Returns the time from which a trial takes too long, unless its command is done before.

    Args:
        config: Has the limits.
        worker: Serves the trial.
        trial: The trial.

    Returns:
        Time by the clock of ``worker.busy_since``, in seconds; infinity without a limit. A command
        that takes exactly as long as it may is in time.
    """
    if worker.phase is Phase.AT_REST:
        return math.inf
    return min(_end_of_step(config, worker), _end_of_trial(config, worker, trial))


def _end_of_step(config: FailureConfig, worker: Worker) -> float:
    if config.iteration_timeout_s is None:
        return math.inf
    return math.nextafter(worker.busy_since + config.iteration_timeout_s, math.inf)


def _end_of_trial(config: FailureConfig, worker: Worker, trial: Trial) -> float:
    if config.trial_timeout_s is None:
        return math.inf
    end = worker.busy_since + config.trial_timeout_s - trial.run_time_s
    return math.nextafter(end, math.inf)


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
