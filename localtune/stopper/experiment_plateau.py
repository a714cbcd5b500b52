"""ExperimentPlateauStopper: stops the whole run when the best values hardly change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from localtune.stopper.base import Stopper
from localtune.stopper.missing_keys import MISSING, MissingKeys, value_of
from localtune.stopper.spread import standard_deviation

__all__ = ["ExperimentPlateauStopper"]


class ExperimentPlateauStopper(Stopper):
    """Stops the whole run when the best values of a metric over all trials hardly differ.

    Results without the metric are ignored. NaN is never among the best values.

    Args:
        metric: Metric to watch.
        std: There is a plateau if the standard deviation of the best values is at most this.
        top: Number of best values that are compared; at least 2.
        mode: ``"min"`` or ``"max"``.
        patience: Number of results in a row with a plateau after which the run stops.

    Raises:
        ValueError: for a value out of its range.
    """

    def __init__(
        self,
        metric: str,
        std: float = 0.001,
        top: int = 10,
        mode: str = "min",
        patience: int = 0,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
        if not isinstance(top, int) or top <= 1:
            raise ValueError(f"top must be a whole number, at least 2, but got {top!r}.")
        if not isinstance(patience, int) or patience < 0:
            raise ValueError(f"patience must be a whole number, at least 0, but got {patience!r}.")
        if not isinstance(std, (int, float)) or not std > 0:
            raise ValueError(f"std must be a number above 0, but got {std!r}.")
        self._metric = metric
        self._std = std
        self._top = top
        self._mode = mode
        self._patience = patience
        self._best: list[float] = []
        self._plateaus = 0  # number of results in a row with a plateau
        self._missing = MissingKeys("ExperimentPlateauStopper", [metric])

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        value = value_of(self._metric, result)
        if value is not MISSING:
            self._add(value)
        return self.stop_all()

    def stop_all(self) -> bool:
        return self._has_plateau() and self._plateaus >= self._patience

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return self._missing.warnings(result)

    def number_keys(self) -> list[str]:
        return [self._metric]

    def _add(self, value: float) -> None:
        if not math.isnan(value):
            ranked = sorted([*self._best, value], reverse=self._mode == "max")
            self._best = ranked[: self._top]
        self._plateaus = self._plateaus + 1 if self._has_plateau() else 0

    def _has_plateau(self) -> bool:
        return len(self._best) == self._top and standard_deviation(self._best) <= self._std
