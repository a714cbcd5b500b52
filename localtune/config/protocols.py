"""Objects that users put into configs, as far as the configs know them.

The base classes to derive from are :class:`localtune.Callback`, :class:`localtune.Stopper`,
:class:`localtune.ProgressReporter` and :class:`localtune.schedulers.TrialScheduler`. A run checks
that an object derives from its base class.
"""

from __future__ import annotations

from typing import Any, Protocol


class CallbackLike(Protocol):
    """A :class:`localtune.Callback`."""

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See :meth:`localtune.Callback.on_trial_result`."""


class StopperLike(Protocol):
    """A :class:`localtune.Stopper`."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """See :class:`localtune.Stopper`."""

    def stop_all(self) -> bool:
        """See :meth:`localtune.Stopper.stop_all`."""


class ReporterLike(Protocol):
    """A :class:`localtune.ProgressReporter`."""

    def should_report(self, trials: Any, done: bool = False) -> bool:
        """See :meth:`localtune.ProgressReporter.should_report`."""

    def report(self, trials: Any, done: bool, *sys_info: str) -> None:
        """See :meth:`localtune.ProgressReporter.report`."""


class SchedulerLike(Protocol):
    """A :class:`localtune.schedulers.TrialScheduler`."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> Any:
        """See :meth:`localtune.schedulers.TrialScheduler.on_trial_result`."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """See :meth:`localtune.schedulers.TrialScheduler.choose_trial_to_run`."""
