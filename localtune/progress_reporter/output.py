"""Output: what the loop asks of whatever shows a run, beyond the hooks of a callback."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.callback import Callback

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class Output(Callback, ABC):
    """Shows a run to the person who started it.

    All methods are called in the thread that runs the experiment.
    """

    fails_only_its_trial = True

    @abstractmethod
    def tick(self) -> None:
        """Time may have passed. Called after each step, a few times per second if idle."""

    @property
    def wants_worker_output(self) -> bool:
        """Whether workers must not write to the terminal themselves.

        Where something is drawn in place, they would write into it, and be overwritten: what they
        print has to come through :meth:`worker_output`.
        """
        return False

    @abstractmethod
    def worker_output(self, text: str, trial_id: str) -> None:
        """Shows what a worker has printed.

        Args:
            text: Whole lines; of their escape codes, those of colours are kept.
            trial_id: Of the trial that it served; "" if it served none yet.
        """

    @abstractmethod
    def summary(self, trials: Sequence[Trial], *, interrupted: bool, elapsed_s: float) -> None:
        """Tells how the run ended. Called once, before or after :meth:`on_experiment_end`.

        Args:
            trials: All trials.
            interrupted: Whether the user ended the run before it was done.
            elapsed_s: Duration of the run in seconds.
        """

    @abstractmethod
    def log(self, message: str) -> None:
        """Tells something on one line."""

    @abstractmethod
    def warn(self, message: str) -> None:
        """Tells something on one line that the user should look at."""
