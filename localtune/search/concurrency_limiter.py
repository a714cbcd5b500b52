"""ConcurrencyLimiter: limits the number of a searcher's concurrent trials."""

from __future__ import annotations

from typing import Any, TypeAlias

from localtune.search.base import Searcher
from localtune.search.wrapper import SearcherWrapper

_Ending: TypeAlias = "tuple[dict[str, Any] | None, bool]"  # (last result, whether it failed)


class ConcurrencyLimiter(SearcherWrapper):
    """Limits the number of a searcher's trials that have not ended.

    Args:
        searcher: The searcher.
        max_concurrent: Largest number of such trials, at least 1.
        batch: Whether trials come in batches of ``max_concurrent``. The searcher gets the results
            of a batch when all of its trials have ended. The last batch may be smaller.

    Raises:
        TypeError: if ``searcher`` is no searcher.
        ValueError: if ``max_concurrent`` is no whole number above 0.

    Example:
        >>> class Fixed(Searcher):
        ...     def suggest(self, trial_id):
        ...         return {"lr": 0.1}
        >>> limiter = ConcurrencyLimiter(Fixed(), max_concurrent=1)
        >>> limiter.suggest("a"), limiter.suggest("b")
        ({'lr': 0.1}, None)
        >>> limiter.on_trial_complete("a", {"loss": 1.0})
        >>> limiter.suggest("b")
        {'lr': 0.1}
    """

    def __init__(self, searcher: Searcher, max_concurrent: int, batch: bool = False) -> None:
        super().__init__(searcher)
        if type(max_concurrent) is not int or max_concurrent < 1:
            raise ValueError(
                f"max_concurrent must be a whole number above 0, but got {max_concurrent!r}."
            )
        self.max_concurrent = max_concurrent
        self.batch = batch
        self._live: set[str] = set()  # ids of the trials that count; in a batch, also ended ones
        self._ended: dict[str, _Ending] = {}  # {id of an ended trial of an unfinished batch: end}
        self._is_last = False  # whether the batch takes no further trials
        self._is_left_to_searcher = searcher.set_max_concurrency(max_concurrent)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._is_left_to_searcher:
            return self.searcher.suggest(trial_id)
        if trial_id in self._live:
            raise ValueError(f"Each trial must have its own id, but {trial_id!r} was used twice.")
        if len(self._live) >= self.max_concurrent:
            return None
        suggested = self.searcher.suggest(trial_id)
        if suggested is None and self._ended and len(self._ended) == len(self._live):
            # The searcher may wait for the results of this incomplete batch.
            self._tell_of_batch()
            suggested = self.searcher.suggest(trial_id)
        if suggested is not None and suggested != Searcher.FINISHED:
            self._live.add(trial_id)
        return suggested

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if self._is_left_to_searcher or trial_id in self._live:
            self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if self._is_left_to_searcher:
            self.searcher.on_trial_complete(trial_id, result=result, error=error)
        elif trial_id not in self._live or trial_id in self._ended:
            return
        elif self.batch:
            self._ended[trial_id] = result, error
            if len(self._ended) == (len(self._live) if self._is_last else self.max_concurrent):
                self._tell_of_batch()
        else:
            self._live.discard(trial_id)
            self.searcher.on_trial_complete(trial_id, result=result, error=error)

    def on_last_suggestion(self) -> None:
        self._is_last = True
        if self._ended and len(self._ended) == len(self._live):
            self._tell_of_batch()
        super().on_last_suggestion()

    def _tell_of_batch(self) -> None:
        ended, self._ended = self._ended, {}
        self._live = set()
        for trial_id, (result, error) in ended.items():
            self.searcher.on_trial_complete(trial_id, result=result, error=error)
