"""TrialScheduler: decides, result by result, what becomes of each trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial


class ControllerView(Protocol):
    """What a scheduler may see of a run, and ask of it.

    What is asked is carried out after the hook has returned, never within it.
    """

    def get_trials(self) -> Sequence[Trial]:
        """All trials, in the order in which they were created."""

    def get_live_trials(self) -> Sequence[Trial]:
        """The trials that have not ended, retried ones last."""

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """Asks to pause a trial; without a checkpoint, what it did since its last one is lost."""

    def stop_trial(self, trial: Trial) -> None:
        """Asks to end a trial well."""


class TrialScheduler:
    """Base class of schedulers.

    All hooks run in the parent, one at a time. A scheduler returns decisions; what it wants of
    other trials it asks of the controller that it gets as first argument.
    """

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"

    _metric: str | None = None
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """Metric that the scheduler watches, None if it watches none."""
        return self._metric

    @property
    def supports_buffered_results(self) -> bool:
        """Whether results may reach the scheduler in batches."""
        return self._supports_buffered_results

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Tells the scheduler what the run optimises; called once, before the first trial.

        Args:
            metric: Metric of the run, if it names one.
            mode: ``"min"`` or ``"max"``, if the run names one.
            **spec: ``stop``, ``num_samples``, ``time_budget_s`` as the user gave them.

        Returns:
            False if the scheduler was given a metric or mode of its own already.
        """
        if self._metric and metric:
            return False
        if metric:
            self._metric = metric
        return True

    def on_trial_add(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called when a trial is created, retried, or taken up again by a resumed run."""

    def on_trial_error(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called at each failure of a trial, also when it will be retried."""

    def on_trial_result(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> str:
        """Decides what a trial does after a result.

        Args:
            tune_controller: The run.
            trial: Whose result it is.
            result: The result with nested keys joined by ``/``.

        Returns:
            CONTINUE, PAUSE, STOP, or NOOP if what was asked of the controller says it all.
        """
        return self.CONTINUE

    def on_trial_complete(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Called when a running trial ends well, with its latest flat result."""

    def on_trial_remove(self, tune_controller: ControllerView, trial: Trial) -> None:
        """Called when a trial that was not running is ended."""

    def choose_trial_to_run(self, tune_controller: ControllerView) -> Trial | None:
        """The pending or paused trial that should run next, None if none should.

        Called again and again, also when there are no resources: must not change anything.
        """
        return None

    def debug_string(self) -> str:
        """One line on the scheduler's state."""
        return type(self).__name__

    def save(self, checkpoint_path: str) -> None:
        """Writes the scheduler's state to a file."""
        raise NotImplementedError(f"{type(self).__name__} does not save its state.")

    def restore(self, checkpoint_path: str) -> None:
        """Reads the scheduler's state from a file."""
        raise NotImplementedError(f"{type(self).__name__} does not restore its state.")
