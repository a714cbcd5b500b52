"""Where the trials of a run come from: the interface that the controller uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from localtune.search.searcher import Searcher
from localtune.search.suggestion import Suggestion


class SearchAlgorithm(ABC):
    """Base class: hands out the trials of a run, one at a time.

    All methods are called in the parent process, one at a time. ``set_search_properties`` and
    ``setup`` come first, once each; then ``set_state`` if a run is taken up again; then the
    others in any order. An algorithm returns values and calls nobody.
    """

    # Whether it learns from results: what it suggests too early, it suggests knowing less.
    learns = False

    _metric: str | None = None
    _mode: str | None = None

    @property
    def metric(self) -> str | None:
        """Metric to optimise, if known."""
        return self._metric

    @property
    def mode(self) -> str | None:
        """``"min"`` or ``"max"``, if known."""
        return self._mode

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Passes on what the run was given.

        Args:
            metric: Metric to optimise, None if not given.
            mode: ``"min"`` or ``"max"``, None if not given.
            config: The search space.
            **spec: ``stop``, ``num_samples``, ``time_budget_s``, and ``seed`` if the run has one.

        Returns:
            Whether it was taken; False if the metric or mode is known already.
        """
        if (metric and self._metric) or (mode and self._mode):
            return False
        self._metric = metric or self._metric
        self._mode = mode or self._mode
        return True

    @abstractmethod
    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        """Prepares for a run, from its beginning.

        Args:
            param_space: The search space; is left as it is, and may be changed by its owner
                afterwards.
            num_samples: How often to sample it (and repeat its grid); -1 is without end.

        Raises:
            ValueError: for a space that cannot be sampled, or ``num_samples`` out of its range.
        """

    @property
    @abstractmethod
    def total_samples(self) -> int | None:
        """How many trials there will be; None if there is no end, or the number is not known."""

    @abstractmethod
    def next_suggestion(self) -> Suggestion | None:
        """The next trial; None if there is none now, or none any more.

        Raises:
            SearchSpaceError: if a function of the search space fails.
        """

    @property
    def is_thinking(self) -> bool:
        """Whether a suggestion is being made, and will be there without any further event."""
        return False

    @property
    def is_slow(self) -> bool:
        """Whether suggestions take so long that they should be there before they are needed."""
        return False

    @abstractmethod
    def is_finished(self) -> bool:
        """Whether no suggestion will ever come any more."""

    # Whoever does not learn from results overrides neither hook.
    def on_trial_result(  # noqa: B027
        self, trial_id: str, result: Mapping[str, Any]
    ) -> None:
        """Called with each flat result of a trial that goes on."""

    def on_trial_complete(  # noqa: B027
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Called once when a trial has ended for good.

        Args:
            trial_id: The trial.
            result: Its last result, flat; None if there is none or it failed.
            error: Whether it failed.
        """

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """What is needed to go on later: picklable, and of a size that does not grow."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what ``get_state`` returned, after ``setup`` with the same arguments."""


def searcher_name(search: Any) -> str:
    """Name of the class that the user knows: that of the innermost searcher."""
    inner = getattr(search, "searcher", None)
    while isinstance(inner, (Searcher, SearchAlgorithm)):
        search, inner = inner, getattr(inner, "searcher", None)
    return type(search).__name__
