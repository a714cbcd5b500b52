"""LoggerCallback: a callback in the words of a logger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.callback import Callback

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class LoggerCallback(Callback):
    """Base class of loggers: a trial starts, logs results, and ends.

    All methods are called in the parent process. ``log_trial_start`` may come several times for
    one trial: after a failure that is retried, and after a pause.

    Example:
        >>> class PrintLogger(LoggerCallback):
        ...     def log_trial_result(self, iteration, trial, result):
        ...         print(trial, result)
    """

    def log_trial_start(self, trial: Trial) -> None:
        """A worker is ready for the trial."""

    def log_trial_restore(self, trial: Trial) -> None:
        """The trial has loaded a checkpoint."""

    def log_trial_save(self, trial: Trial) -> None:
        """The trial has answered a request to save."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """The trial has a result.

        Args:
            iteration: Number of the loop's step.
            trial: The trial.
            result: Nested result.
        """

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """The trial has ended for good.

        Args:
            trial: The trial.
            failed: Whether it ended with an error.
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
