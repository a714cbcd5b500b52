"""Repeater: evaluates each suggestion several times to reduce noise."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

from localtune.search.base import Searcher
from localtune.search.wrapper import SearcherWrapper
from localtune.utils.best import is_number
from localtune.utils.messages import get_logger

_LOGGER = get_logger(__name__)

# Key of the configuration that holds the number of the repetition, from 0.
TRIAL_INDEX = "__trial_index__"


@dataclass(slots=True)
class _Group:
    """The trials of one suggestion.

    Attributes:
        first_id: Id of the first trial, which is the only one that the searcher knows.
        config: The suggestion.
        size: Number of trials so far.
        results: The last result of each ended trial; None for a trial without a result.
        failures: Number of failed trials.
    """

    first_id: str
    config: dict[str, Any]
    size: int = 0
    results: list[dict[str, Any] | None] = field(default_factory=list)
    failures: int = 0


class Repeater(SearcherWrapper):
    """Uses each suggestion of a searcher ``repeat`` times in a row.

    The searcher knows only the first of these trials. When all of them have ended, it gets the
    mean of their metric. Trials without the metric, and NaN, are left out of the mean.
    ``num_samples`` counts all repetitions. Do not use it with a scheduler that stops trials
    early.

    Args:
        searcher: The searcher.
        repeat: Number of trials per suggestion, at least 1.
        set_index: Whether ``config["__trial_index__"]`` holds the number of the repetition, from
            0, for use as a seed.

    Raises:
        TypeError: if ``searcher`` is no searcher.
        ValueError: if ``repeat`` is no whole number above 0.

    Example:
        >>> class Fixed(Searcher):
        ...     def suggest(self, trial_id):
        ...         return {"lr": 0.1}
        >>> repeater = Repeater(Fixed(metric="loss", mode="min"), repeat=2)
        >>> repeater.suggest("a"), repeater.suggest("b")
        ({'lr': 0.1, '__trial_index__': 0}, {'lr': 0.1, '__trial_index__': 1})
    """

    def __init__(self, searcher: Searcher, repeat: int = 1, set_index: bool = True) -> None:
        super().__init__(searcher)
        if type(repeat) is not int or repeat < 1:
            raise ValueError(f"repeat must be a whole number above 0, but got {repeat!r}.")
        self.repeat = repeat
        self.set_index = set_index
        self._latest: _Group | None = None
        self._groups: dict[str, _Group] = {}  # {id of a trial that has not ended: its group}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        num_samples = spec.get("num_samples") or 0
        if num_samples > 0 and num_samples % self.repeat:
            _LOGGER.warning(
                "num_samples=%d is no multiple of repeat=%d: the searcher will get no result of "
                "the last %d trials.",
                num_samples,
                self.repeat,
                num_samples % self.repeat,
            )
        return super().set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        group = self._latest
        if group is None or group.size == self.repeat:
            suggested = self.searcher.suggest(trial_id)
            if not isinstance(suggested, dict):
                return suggested
            group = self._latest = _Group(trial_id, suggested)
        config = copy.deepcopy(group.config)
        if self.set_index:
            config[TRIAL_INDEX] = group.size
        group.size += 1
        self._groups[trial_id] = group
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        return  # The searcher gets only the mean over all repetitions.

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        group = self._groups.pop(trial_id, None)
        if group is None:
            return
        group.results.append(result)
        group.failures += bool(error)
        if len(group.results) < self.repeat:
            return
        if group.failures == self.repeat:
            self.searcher.on_trial_complete(group.first_id, result=None, error=True)
        else:
            self.searcher.on_trial_complete(group.first_id, result=self._mean(group))

    def _mean(self, group: _Group) -> dict[str, Any]:
        metrics = [self.metric] if isinstance(self.metric, str) else self.metric or []
        means = {}
        for metric in metrics:
            values = [result.get(metric) for result in group.results if result is not None]
            numbers = [value for value in values if is_number(value)]
            means[metric] = sum(numbers) / len(numbers) if numbers else math.nan
        return means
