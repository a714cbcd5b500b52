"""When trials, or the whole run, are to stop: the interface that the controller uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Stopper(ABC):
    """Base class: says which trials are done, and when all of them are.

    All methods are called in the parent process, one at a time, before schedulers and searchers
    see the result. A stopper may keep what it learns; it is pickled with the experiment. An
    exception in it ends the run.

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

    # Whether what it answers depends on more than the result: such a stopper is kept with the
    # experiment, and a resumed run goes on with it.
    has_state = True

    @abstractmethod
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial is to stop; called with each of its results.

        Args:
            trial_id: The trial.
            result: Its latest result, nested; must not be changed.
        """

    def stop_all(self) -> bool:
        """Whether the whole run is to stop; called again and again while it goes on."""
        return False

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        """Texts about keys that the stopper looks for and a result lacks; each is returned once.

        Args:
            result: Any trial's result, nested.
        """
        return []

    def number_keys(self) -> list[str]:
        """Flat keys of results in which the stopper needs numbers, where a result has them.

        A result with anything else there fails its trial, before the stopper sees it.
        """
        return []
