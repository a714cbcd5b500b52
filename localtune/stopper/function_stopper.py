"""FunctionStopper: stops a trial when a function returns True."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localtune.stopper.base import Stopper

__all__ = ["FunctionStopper"]


class FunctionStopper(Stopper):
    """Stops a trial when a function returns True.

    Args:
        function: ``(trial_id, result) -> bool``; the result is nested.

    Raises:
        ValueError: if ``function`` is not callable.

    Example:
        >>> FunctionStopper(lambda trial_id, result: result["loss"] < 0.1)("t", {"loss": 0.05})
        True
    """

    has_state = False

    def __init__(self, function: Callable[[str, dict[str, Any]], bool]) -> None:
        if not callable(function):
            raise ValueError(
                f"FunctionStopper needs a function (trial_id, result) -> bool, "
                f"but got {function!r}."
            )
        self._function = function

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(self._function(trial_id, result))
