"""LoggerCallback: base class of loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.callback import Callback

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class LoggerCallback(Callback):
    """Base class of loggers, whose methods log the start, the results and the end of a trial.

    All methods are called in the parent process. ``log_trial_start`` may be called several times
    for one trial: after a failure that is retried, and after a pause.

    Example:
        >>> class PrintLogger(LoggerCallback):
        ...     def log_trial_result(self, iteration, trial, result):
        ...         print(trial, result)
    """

    def log_trial_start(self, trial: Trial) -> None:
        """Logs that a worker is ready for a trial."""

    def log_trial_restore(self, trial: Trial) -> None:
        """Logs that a trial has loaded a checkpoint."""

    def log_trial_save(self, trial: Trial) -> None:
        """Logs that a trial has answered a request to save."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Logs a result of a trial.

        Args:
            iteration: Number of the loop's step.
            trial: The trial.
            result: The nested result.
        """

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Logs the end of a trial, after its last attempt.

        Args:
            trial: The trial.
            failed: Whether the trial ended with an error.
        """

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.log_trial_start(trial)

    def on_trial_restore(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.log_trial_restore(trial)

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_save(trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        self.log_trial_result(iteration, trial, result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.log_trial_end(trial, failed=False)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.log_trial_end(trial, failed=True)
