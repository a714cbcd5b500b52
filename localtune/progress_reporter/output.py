"""Output: the interface by which the loop shows a run; it extends the hooks of a callback."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.callback import Callback

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class Output(Callback, ABC):
    """Base class of outputs, which show a run to the user.

    All methods are called in the thread that runs the experiment.
    """

    fails_only_its_trial = True

    @abstractmethod
    def tick(self, trials: list[Trial]) -> None:
        """Updates the output; called after each turn of the loop, at least four times a second.

        Args:
            trials: All trials.
        """

    @property
    def wants_worker_output(self) -> bool:
        """Whether the output of workers must come through :meth:`worker_output`.

        Workers must not write to a terminal on which a frame is drawn in place.
        """
        return False

    @abstractmethod
    def worker_output(self, text: str, trial_id: str) -> None:
        """Shows text that a worker has printed.

        Args:
            text: Whole lines. Escape codes of colours are kept, others are removed.
            trial_id: Id of the worker's trial; "" if it has had none yet.
        """

    @abstractmethod
    def summary(self, trials: Sequence[Trial], *, interrupted: bool, elapsed_s: float) -> None:
        """Shows how the run ended; called once, before or after :meth:`on_experiment_end`.

        Args:
            trials: All trials.
            interrupted: Whether the user ended the run before it was done.
            elapsed_s: Duration of the run in seconds.
        """

    @abstractmethod
    def log(self, message: str) -> None:
        """Shows a message on one line."""

    @abstractmethod
    def warn(self, message: str) -> None:
        """Shows a warning on one line."""
