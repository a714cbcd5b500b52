"""Stopper: the interface by which the controller decides when trials, or the run, stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Stopper(ABC):
    """Base class of stoppers, which decide when a trial, or the whole run, stops.

    All methods are called in the parent process, one at a time, before schedulers and searchers
    get the result. A stopper may have attributes that change: it is pickled with the experiment.
    An exception in a method ends the run.

    Example:
        >>> class LossIsNaN(Stopper):
        ...     def __call__(self, trial_id, result):
        ...         return result["loss"] != result["loss"]
        ...
        ...     def stop_all(self):
        ...         return False
        >>> LossIsNaN()("trial_1", {"loss": float("nan")})
        True
    """

    # Whether the stopper's decisions depend on earlier results or on time. Such a stopper is saved
    # with the experiment and restored by a resumed run.
    has_state = True

    @abstractmethod
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Returns whether a trial stops; called with each of its results.

        Args:
            trial_id: Id of the trial.
            result: Its latest nested result. It must not be changed.
        """

    def stop_all(self) -> bool:
        """Returns whether the whole run stops; called often during the run."""
        return False

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        """Returns warnings about keys that the stopper needs and that are missing in a result.

        Each warning is returned only once.

        Args:
            result: A nested result of any trial.
        """
        return []

    def number_keys(self) -> list[str]:
        """Returns the flat keys whose values must be numbers in each result that has them.

        A result with another value fails its trial before the stopper gets the result.
        """
        return []
