"""MaximumIterationStopper: stops each trial after a number of results."""

from __future__ import annotations

from typing import Any

from localtune.stopper.base import Stopper

__all__ = ["MaximumIterationStopper"]


class MaximumIterationStopper(Stopper):
    """Stops a trial when it has reported a number of results.

    It counts the results itself, and ignores their ``training_iteration``.

    Args:
        max_iter: Number of results, at least 1.

    Raises:
        ValueError: for a number out of its range.

    Example:
        >>> stop = MaximumIterationStopper(max_iter=2)
        >>> [stop("trial_1", {}), stop("trial_1", {})]
        [False, True]
    """

    def __init__(self, max_iter: int) -> None:
        if not isinstance(max_iter, int) or max_iter < 1:
            raise ValueError(f"max_iter must be a whole number, at least 1, but got {max_iter!r}.")
        self._max_iter = max_iter
        self._counts: dict[str, int] = {}  # {trial id: results so far}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        count = self._counts[trial_id] = self._counts.get(trial_id, 0) + 1
        return count >= self._max_iter
