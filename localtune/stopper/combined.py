"""Stops when any of several stoppers does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.stopper.stopper import Stopper

__all__ = ["CombinedStopper"]


class CombinedStopper(Stopper):
    """Stops a trial, or the run, when any of some stoppers would.

    Each stopper sees each result, also when one before it stops the trial.

    Args:
        *stoppers: The stoppers.

    Raises:
        ValueError: for anything that is no stopper.

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
                    f"All stoppers that are combined must be instances of Stopper, "
                    f"but got {stopper!r}."
                )
        self._stoppers = stoppers

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        # All are asked before any answer counts: each keeps its own history of results.
        answers = [stopper(trial_id, result) for stopper in self._stoppers]
        return any(answers)

    def stop_all(self) -> bool:
        # Asking starts the clock of some.
        answers = [stopper.stop_all() for stopper in self._stoppers]
        return any(answers)

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return [text for stopper in self._stoppers for text in stopper.missing_key_warnings(result)]

    def number_keys(self) -> list[str]:
        return [key for stopper in self._stoppers for key in stopper.number_keys()]
