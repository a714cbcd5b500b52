"""DictStopper: stops a trial when a metric reaches its bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.error import TuneError
from localtune.stopper.base import Stopper
from localtune.stopper.missing_keys import MISSING, MissingKeys, value_of
from localtune.utils.dicts import flatten_dict

__all__ = ["DictStopper"]


class DictStopper(Stopper):
    """Stops a trial as soon as one of several metrics is at or above its bound.

    A run makes it from ``stop={"training_iteration": 10}``. Metrics that are missing in a result
    are ignored.

    Args:
        criteria: {metric: bound}; nested metrics as nested dicts, or with ``/`` in their keys.

    Raises:
        ValueError: for a key that is not a string, or a bound that is not a number.
    """

    has_state = False

    def __init__(self, criteria: Mapping[str, Any]) -> None:
        self.criteria: dict[str, Any] = flatten_dict(dict(criteria))
        for key, bound in self.criteria.items():
            if not isinstance(key, str):
                raise ValueError(
                    f"The keys of stop must be names of metrics (strings), but got {key!r}."
                )
            if isinstance(bound, (str, bytes)) or not hasattr(bound, "__float__"):
                raise ValueError(
                    f"The bound of {key!r} in stop must be a number, but got {bound!r}. "
                    "For other rules, pass a function (trial_id, result) -> bool."
                )
        self._missing = MissingKeys("stop", self.criteria)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        for key, bound in self.criteria.items():
            value = value_of(key, result)
            if value is not MISSING and self._reaches(key, value, bound):
                return True
        return False

    def missing_key_warnings(self, result: Mapping[str, Any]) -> list[str]:
        return self._missing.warnings(result)

    def number_keys(self) -> list[str]:
        return list(self.criteria)

    def _reaches(self, key: str, value: Any, bound: Any) -> bool:
        try:
            return bool(value >= bound)
        except (TypeError, ValueError) as error:
            raise TuneError(
                f"stop needs a number for {key!r} to compare with its bound {bound!r}, "
                f"but trial results have {value!r}."
            ) from error

    def __repr__(self) -> str:
        return f"DictStopper({self.criteria!r})"
