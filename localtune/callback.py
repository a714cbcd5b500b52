"""Defines Callback, the base class for hooks into a run, and the list that calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from localtune.checkpoint import Checkpoint
    from localtune.trial.trial import Trial


class Callback:
    """Follows a run; subclasses override the hooks that they need.

    All hooks run in the parent process, one at a time, in the thread that runs the experiment, in
    the order of the callbacks. A hook may read a trial's record but must not change it. An
    exception in a hook ends the run with a :class:`~localtune.TuneError` that names the hook; the
    trials are stopped in good order first.

    Attributes:
        fails_only_its_trial: Whether an exception in a hook about a trial fails only that trial,
            and the run continues. False by default; True for the loggers of localtune.
        may_lag: Whether ``on_trial_start`` and ``on_trial_result`` may be called while the trial
            computes its next iteration already. With results that happens if all callbacks after
            this one may lag, too, and with starts if all callbacks may. False by default: the
            trial waits until the hook has returned. True for the files of results.

    Example:
        >>> class PrintResults(Callback):
        ...     def on_trial_result(self, iteration, trials, trial, result, **info):
        ...         print(trial, result["training_iteration"])
    """

    fails_only_its_trial: ClassVar[bool] = False
    may_lag: bool = False

    def setup(
        self,
        stop: dict[str, Any] | None = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        time_budget_s: float | None = None,
        **info: Any,
    ) -> None:
        """Called once, before the first trial.

        Args:
            stop: Stop conditions of the run, if they are a dict.
            num_samples: The argument of the run.
            total_num_samples: Number of trials of the whole run; None if unknown.
            time_budget_s: The argument of the run, in seconds.
            **info: Arguments of later versions.
        """

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Called before each step of the loop.

        Args:
            iteration: Number of the step, from 0.
            trials: All trials.
            **info: Arguments of later versions.
        """

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Called after each step of the loop.

        Args:
            iteration: Number of the next step, from 1.
            trials: All trials.
            **info: Arguments of later versions.
        """

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a worker is ready for the trial: at its start, retry and continuation.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_trial_restore(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when the trial's worker has loaded a checkpoint.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Called after each answer to a request to save.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Called for each result, after the scheduler and the searcher.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            result: The result, nested; a copy at its top level.
            **info: Arguments of later versions.
        """

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial has ended well; not called when the whole experiment is stopped.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial has failed and will be retried.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial has failed and will not be retried.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            **info: Arguments of later versions.
        """

    def on_checkpoint(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        checkpoint: Checkpoint,
        **info: Any,
    ) -> None:
        """Called when a checkpoint is stored, before it is recorded.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: The trial.
            checkpoint: Handle of the stored directory.
            **info: Arguments of later versions.
        """

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Called once, after all workers have ended, also if the run failed.

        Args:
            trials: All trials.
            **info: Arguments of later versions.
        """

    def get_state(self) -> dict[str, Any] | None:
        """Returns the state to keep with the experiment; None keeps nothing."""
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state that :meth:`get_state` returned, when the experiment is resumed."""


HOOKS = (
    "setup",
    "on_step_begin",
    "on_step_end",
    "on_trial_start",
    "on_trial_restore",
    "on_trial_save",
    "on_trial_result",
    "on_trial_complete",
    "on_trial_recover",
    "on_trial_error",
    "on_checkpoint",
    "on_experiment_end",
)


class CallbackError(Exception):
    """Reports that a hook raised the exception in ``__cause__``.

    Attributes:
        place: Class and hook, as text.
        fails_only_its_trial: The attribute of the callback.
    """

    def __init__(self, callback: Callback, hook: str) -> None:
        self.place = f"{type(callback).__name__}.{hook}"
        self.fails_only_its_trial = callback.fails_only_its_trial
        super().__init__(f"The callback {self.place} raised an exception.")


class CallbackList:
    """Forwards each hook to the callbacks that override it.

    Args:
        callbacks: The callbacks in the order of their calls.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)
        # {hook: callbacks that override it}. The lookup is done once, since some hooks run for
        # each result.
        self._targets: dict[str, list[tuple[Callback, Callable[..., None]]]] = {
            hook: [(each, getattr(each, hook)) for each in self.callbacks if _overrides(each, hook)]
            for hook in HOOKS
        }
        # The order of the callbacks is kept: those at the end may lag, all before them may not.
        told_of_results = self._targets["on_trial_result"]
        prompt_count = len(told_of_results)
        while prompt_count and told_of_results[prompt_count - 1][0].may_lag:
            prompt_count -= 1
        self._lagging = told_of_results[prompt_count:]
        self._targets["on_trial_result"] = told_of_results[:prompt_count]

    def call(self, hook: str, **arguments: Any) -> None:
        """Calls one hook of all callbacks.

        Args:
            hook: Name of the hook.
            **arguments: Arguments of the hook.

        Raises:
            CallbackError: if a callback raises an exception; those after it are not called.
        """
        for callback, method in self._targets[hook]:
            try:
                method(**arguments)
            except Exception as error:
                raise CallbackError(callback, hook) from error

    def log(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any]
    ) -> None:
        """Calls ``on_trial_result`` of the callbacks that may lag, which :meth:`call` leaves out.

        Args:
            iteration: As for the hook.
            trials: As for the hook.
            trial: As for the hook.
            result: As for the hook.

        Raises:
            CallbackError: if a callback raises an exception; those after it are not called.
        """
        for callback, method in self._lagging:
            try:
                method(iteration=iteration, trials=trials, trial=trial, result=result)
            except Exception as error:
                raise CallbackError(callback, "on_trial_result") from error

    def end(self, trials: list[Trial]) -> None:
        """Calls ``on_experiment_end`` of all callbacks, even after one has raised an exception.

        Raises:
            CallbackError: the first one, after all were called.
        """
        first_error: CallbackError | None = None
        for callback, method in self._targets["on_experiment_end"]:
            try:
                method(trials=trials)
            except Exception as error:
                if first_error is None:
                    first_error = CallbackError(callback, "on_experiment_end")
                    first_error.__cause__ = error
        if first_error is not None:
            raise first_error

    def wants(self, hook: str) -> bool:
        """Tells whether any callback overrides the hook."""
        return bool(self._targets[hook] or (hook == "on_trial_result" and self._lagging))

    def waits_for(self, hook: str) -> bool:
        """Tells whether any callback that overrides the hook may not lag."""
        return any(not callback.may_lag for callback, _ in self._targets[hook])

    @property
    def has_state(self) -> bool:
        """Whether any callback overrides ``get_state``."""
        return any(_overrides(callback, "get_state") for callback in self.callbacks)

    def get_state(self) -> list[dict[str, Any] | None]:
        """Returns the states of the callbacks, in their order.

        Raises:
            CallbackError: if a callback raises an exception.
        """
        return [_call_method(callback, "get_state") for callback in self.callbacks]

    def set_state(self, states: list[dict[str, Any] | None]) -> None:
        """Restores the states of the callbacks.

        Args:
            states: States in the order of the callbacks.

        Raises:
            CallbackError: if a callback raises an exception.
        """
        for callback, state in zip(self.callbacks, states, strict=False):
            if state:
                _call_method(callback, "set_state", state)


def _call_method(callback: Callback, method: str, *arguments: Any) -> Any:
    try:
        return getattr(callback, method)(*arguments)
    except Exception as error:
        raise CallbackError(callback, method) from error


def _overrides(callback: Callback, hook: str) -> bool:
    method = getattr(type(callback), hook, None)
    return method is not getattr(Callback, hook) or hook in vars(callback)
