"""ProgressReporter: base class of what a user can put in place of the built-in output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class ProgressReporter(ABC):
    """Shows how a run goes on, in a way of its own.

    Pass an instance as ``RunConfig(progress_reporter=...)``. All methods run in the parent
    process, in the thread that runs the experiment, between two steps of it: a reporter that
    takes long keeps trials waiting. Trials may be read, not changed. An exception ends the run.

    Example:
        >>> class Counter(ProgressReporter):
        ...     def should_report(self, trials, done=False):
        ...         return done
        ...
        ...     def report(self, trials, done, *sys_info):
        ...         print(len(trials), "trials")
    """

    def setup(  # noqa: B027 - most reporters need none of it
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Called once, at the start of each run.

        Args:
            start_time: Unix time of the start.
            total_samples: How many trials there will be; None if not known.
            metric: Metric of the run, if it has one.
            mode: ``"min"`` or ``"max"``.
            **kwargs: More in later versions.
        """

    @abstractmethod
    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Whether to report now. Called after each step, so it must be quick.

        Args:
            trials: All trials.
            done: Whether the run has ended; asked exactly once with True.
        """

    @abstractmethod
    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        """Shows the state of the run. Called when :meth:`should_report` said so.

        Args:
            trials: All trials.
            done: Whether the run has ended.
            *sys_info: Lines about the run: its scheduler and its resources.
        """
