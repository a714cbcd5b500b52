"""CombinedStopper: stops when any of several stoppers does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.stopper.base import Stopper

__all__ = ["CombinedStopper"]


class CombinedStopper(Stopper):
    """Stops a trial, or the run, when any of several stoppers would.

    Each stopper gets each result, even if another one stops the trial.

    Args:
        *stoppers: The stoppers.

    Raises:
        ValueError: for an argument that is no stopper.

    Example:
        >>> from localtune.stopper import MaximumIterationStopper, TrialPlateauStopper
        >>> stop = CombinedStopper(MaximumIterationStopper(20), TrialPlateauStopper("loss"))
        >>> stop("trial_1", {"loss": 0.5})
        False
    """

    def __init__(self, *stoppers: Stopper) -> None:
        for stopper in stoppers:
            if not isinstance(stopper, Stopper):
                raise ValueError(
                    f"The arguments of CombinedStopper must be instances of Stopper, but got "
                    f"{stopper!r}."
                )
        self._stoppers = stoppers

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        # Each stopper keeps its own history of results, and so must get all of them.
        answers = [stopper(trial_id, result) for stopper in self._stoppers]
        return any(answers)

    def stop_all(self) -> bool:
        # The first call starts the clock of some stoppers.
        answers = [stopper.stop_all() for stopper in self._stoppers]
        return any(answers)

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return [text for stopper in self._stoppers for text in stopper.missing_key_warnings(result)]

    def number_keys(self) -> list[str]:
        return [key for stopper in self._stoppers for key in stopper.number_keys()]
