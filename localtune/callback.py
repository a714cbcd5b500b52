"""Hooks into a run: Callback, and the list of callbacks that forwards to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from localtune.checkpoint import Checkpoint
    from localtune.trial.trial import Trial


class Callback:
    """Base class for code that follows a run.

    All hooks run in the parent process, one at a time, in the thread that runs the experiment,
    in the order in which the callbacks were given. A trial's record may be read, not changed.
    An exception in a hook ends the run with a :class:`~localtune.TuneError` that names the hook;
    trials are stopped in good order first.

    Attributes:
        fails_only_its_trial: Whether an exception in a hook about a trial fails that trial, and
            the run goes on. False by default; True for the loggers of localtune.

    Example:
        >>> class PrintResults(Callback):
        ...     def on_trial_result(self, iteration, trials, trial, result, **info):
        ...         print(trial, result["training_iteration"])
    """

    fails_only_its_trial: ClassVar[bool] = False

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
            stop: The stop conditions that were given as a dict.
            num_samples: As given.
            total_num_samples: How many trials there will be; None if not known.
            time_budget_s: As given, in seconds.
            **info: More in later versions.
        """

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Called before each step of the loop; ``iteration`` counts from 0."""

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Called after each step of the loop; ``iteration`` counts from 1."""

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a worker is ready for the trial: at its start, retry and continuation."""

    def on_trial_restore(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when the trial's worker has loaded a checkpoint."""

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Called after each answer to a request to save."""

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Called for each result, after the scheduler and the searcher saw it.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: Whose result it is.
            result: The result, nested; a copy at its top level.
            **info: More in later versions.
        """

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial ended well. Not when the whole experiment is stopped."""

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial failed and will be retried."""

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial failed for good."""

    def on_checkpoint(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        checkpoint: Checkpoint,
        **info: Any,
    ) -> None:
        """Called when a checkpoint is stored, before it is registered.

        Args:
            iteration: Number of the loop's step.
            trials: All trials.
            trial: Whose checkpoint it is.
            checkpoint: Handle of the stored directory.
            **info: More in later versions.
        """

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Called once, after all workers have ended, also if the run failed."""

    def get_state(self) -> dict[str, Any] | None:
        """State to keep with the experiment; None keeps nothing."""
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Gets back what :meth:`get_state` returned, when the experiment is resumed."""


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
    """A hook raised; ``__cause__`` is what it raised.

    Attributes:
        place: Class and hook, as text.
        fails_only_its_trial: As that of the callback.
    """

    def __init__(self, callback: Callback, hook: str) -> None:
        self.place = f"{type(callback).__name__}.{hook}"
        self.fails_only_its_trial = callback.fails_only_its_trial
        super().__init__(f"The callback {self.place} raised an exception.")


class CallbackList:
    """Forwards each hook to the callbacks that override it.

    Args:
        callbacks: In the order in which they are to be called.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)
        # Most callbacks override one or two hooks, and some hooks are on the path of every
        # result: look up once who wants what.
        self._targets: dict[str, list[tuple[Callback, Callable[..., None]]]] = {
            hook: [(each, getattr(each, hook)) for each in self.callbacks if _overrides(each, hook)]
            for hook in HOOKS
        }

    def call(self, hook: str, **arguments: Any) -> None:
        """Calls one hook of all callbacks.

        Raises:
            CallbackError: if one of them raises; those after it are not called.
        """
        for callback, method in self._targets[hook]:
            try:
                method(**arguments)
            except Exception as error:
                raise CallbackError(callback, hook) from error

    def end(self, trials: list[Trial]) -> None:
        """Calls ``on_experiment_end`` of all callbacks: each has something to close.

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
        """Whether any callback overrides the hook."""
        return bool(self._targets[hook])

    @property
    def has_state(self) -> bool:
        """Whether any callback overrides ``get_state``."""
        return any(_overrides(callback, "get_state") for callback in self.callbacks)

    def get_state(self) -> list[dict[str, Any] | None]:
        """States of the callbacks, by position.

        Raises:
            CallbackError: if one of them raises.
        """
        return [_asked(callback, "get_state") for callback in self.callbacks]

    def set_state(self, states: list[dict[str, Any] | None]) -> None:
        """Gives each callback its state back, by position.

        Raises:
            CallbackError: if one of them raises.
        """
        for callback, state in zip(self.callbacks, states, strict=False):
            if state:
                _asked(callback, "set_state", state)


def _asked(callback: Callback, method: str, *arguments: Any) -> Any:
    try:
        return getattr(callback, method)(*arguments)
    except Exception as error:
        raise CallbackError(callback, method) from error


def _overrides(callback: Callback, hook: str) -> bool:
    method = getattr(type(callback), hook, None)
    return method is not getattr(Callback, hook) or hook in vars(callback)
