"""ProgressReporter: base class of reporters that replace the built-in output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class ProgressReporter(ABC):
    """Base class of reporters, which show the progress of a run.

    Pass an instance as ``RunConfig(progress_reporter=...)``. All methods run in the parent
    process, in the thread that runs the experiment, between two steps. A slow reporter therefore
    keeps trials waiting. Trials may be read, but not changed. An exception ends the run.

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
        """Prepares for a run; called once, at its start.

        Args:
            start_time: Unix time of the start, in seconds.
            total_samples: Total number of trials; None if it is unknown.
            metric: Metric of the run, if it has one.
            mode: ``"min"`` or ``"max"``, if the run has a mode.
            **kwargs: Further arguments of later versions.
        """

    @abstractmethod
    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Returns whether to report now. It is called after each step, so it must be quick.

        Args:
            trials: All trials.
            done: Whether the run has ended; True in exactly one call.
        """

    @abstractmethod
    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        """Shows the state of the run; called when :meth:`should_report` has returned True.

        Args:
            trials: All trials.
            done: Whether the run has ended.
            *sys_info: Lines about the run, such as its scheduler and its resources.
        """


class RemoteReporterMixin:
    """Marks a reporter that can show a run which another machine drives.

    A run of localtune and its reporter are in one process, so the mark changes nothing.
    """
