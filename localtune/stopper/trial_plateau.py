"""TrialPlateauStopper: stops trials whose metric hardly changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from localtune.stopper.base import Stopper
from localtune.stopper.missing_keys import MISSING, MissingKeys, value_of
from localtune.stopper.spread import standard_deviation

__all__ = ["TrialPlateauStopper"]


class TrialPlateauStopper(Stopper):
    """Stops a trial when the latest values of a metric hardly differ.

    Results without the metric are ignored.

    Args:
        metric: Metric to watch.
        std: Standard deviation of the latest values below which a trial stops.
        num_results: Number of latest values that are compared; at least 1.
        grace_period: Least number of values before a trial is stopped.
        metric_threshold: Stops a trial only if its latest value is at least (``mode="max"``) or
            at most (``mode="min"``) this; None for no such condition.
        mode: ``"min"`` or ``"max"``; needed with ``metric_threshold``.

    Raises:
        ValueError: for ``num_results`` below 1, another mode, or a threshold without a mode.
    """

    def __init__(
        self,
        metric: str,
        std: float = 0.01,
        num_results: int = 4,
        grace_period: int = 4,
        metric_threshold: float | None = None,
        mode: str | None = None,
    ) -> None:
        if mode not in ("min", "max") and (mode is not None or metric_threshold is not None):
            raise ValueError(
                "mode must be 'min' or 'max' (the side of metric_threshold on which trials may "
                f"stop), but got {mode!r}."
            )
        if not isinstance(num_results, int) or num_results < 1:
            raise ValueError(
                f"num_results must be a whole number, at least 1, but got {num_results!r}."
            )
        self._metric = metric
        self._std = std
        self._num_results = num_results
        self._grace_period = grace_period
        self._threshold = metric_threshold
        self._mode = mode
        self._counts: dict[str, int] = {}  # {trial id: values so far}
        self._latest: dict[str, deque[float]] = {}  # {trial id: latest values}
        self._missing = MissingKeys("TrialPlateauStopper", [metric])

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        value = value_of(self._metric, result)
        if value is MISSING:
            return False
        self._counts[trial_id] = self._counts.get(trial_id, 0) + 1
        latest = self._latest.setdefault(trial_id, deque(maxlen=self._num_results))
        latest.append(value)
        if self._counts[trial_id] < self._grace_period or len(latest) < self._num_results:
            return False
        return self._passes_threshold(value) and bool(standard_deviation(latest) < self._std)

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return self._missing.warnings(result)

    def number_keys(self) -> list[str]:
        return [self._metric]

    def _passes_threshold(self, value: float) -> bool:
        if self._threshold is None:
            return True
        return value >= self._threshold if self._mode == "max" else value <= self._threshold
