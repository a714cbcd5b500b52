"""FailureConfig: how a run handles failed trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class FailureConfig:
    """How a run handles failed trials.

    Args:
        max_failures: How often one trial is restarted from its latest checkpoint; -1 is
            without end.
        fail_fast: True ends the run at the first failure; ``"raise"`` also raises the error.
        iteration_timeout_s: Most seconds that a step (or a setup, save, restore) may take; then
            the trial has failed. None is no limit.
        trial_timeout_s: Most seconds that a trial may run over its whole life; then it has failed
            and is not retried. None is no limit.
        retry_wait_s: Seconds from a failure to the next try. They double with each failure of the
            trial, up to 300.
        max_failed_trials: How many trials may fail for good before the run ends early; -1 is
            without end. None ends the run when 20 trials have failed and no trial has reported a
            result.

    Raises:
        ValueError: for another value, or for ``fail_fast`` and ``max_failures`` at once.
    """

    max_failures: int = 0
    fail_fast: bool | str = False
    iteration_timeout_s: float | None = None
    trial_timeout_s: float | None = None
    retry_wait_s: float = 0.0
    max_failed_trials: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fail_fast, str) and self.fail_fast.lower() == "raise":
            self.fail_fast = "raise"
        check_max_failures(self.max_failures)
        if not (isinstance(self.fail_fast, bool) or self.fail_fast == "raise"):
            raise ValueError(f"fail_fast must be a bool or 'raise', but got {self.fail_fast!r}.")
        if self.fail_fast and self.max_failures != 0:
            raise ValueError(
                f"max_failures must be 0 if fail_fast is set, but got {self.max_failures}: "
                "a run that ends at the first failure retries nothing."
            )
        for name in ("iteration_timeout_s", "trial_timeout_s"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise ValueError(f"{name} must be None or more than 0 seconds, but got {value!r}.")
        if not isinstance(self.retry_wait_s, (int, float)) or not self.retry_wait_s >= 0:
            raise ValueError(
                f"retry_wait_s must be at least 0 seconds, but got {self.retry_wait_s!r}."
            )
        limit = self.max_failed_trials
        if limit is not None and (not isinstance(limit, int) or limit < -1):
            raise ValueError(
                f"max_failed_trials must be None, -1 (no limit) or at least 0, but got {limit!r}."
            )


def check_max_failures(max_failures: Any) -> int:
    """Returns ``max_failures`` if it is a whole number.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(max_failures, int) or isinstance(max_failures, bool):
        raise ValueError(
            "max_failures must be a whole number (-1 retries without end), but got "
            f"{max_failures!r}."
        )
    return max_failures
