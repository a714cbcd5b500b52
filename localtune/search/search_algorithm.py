"""SearchAlgorithm: the interface by which the controller gets new trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from localtune.search.base import Searcher
from localtune.search.pickled_parts import Archive
from localtune.search.suggestion import Suggestion


class SearchAlgorithm(ABC):
    """Base class of search algorithms, which suggest the trials of a run one at a time.

    All methods are called in the parent process, one at a time. ``set_search_properties`` and
    ``setup`` are called first, once each. Then ``set_state`` is called if the run is resumed, and
    then the others in any order.
    """

    # Whether the algorithm learns from results. Its suggestions then improve if they come late.
    learns = False

    # Where parts of its state go that a run writes once. Without it, the state has all parts.
    archive: Archive | None = None

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
        """Sets the metric, mode and search space of the run.

        Args:
            metric: Metric of the run; None if it has none.
            mode: ``"min"`` or ``"max"``; None if the run has none.
            config: The search space.
            **spec: ``stop``, ``num_samples``, ``time_budget_s``, and ``seed`` if the run has one.

        Returns:
            False if the algorithm already has a metric or mode.

        Raises:
            ValueError: if a searcher suggests no values for the domains in ``config``, or has
                another metric or mode.
        """
        if (metric and self._metric) or (mode and self._mode):
            return False
        self._metric = metric or self._metric
        self._mode = mode or self._mode
        return True

    @abstractmethod
    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        """Prepares for the beginning of a run.

        Args:
            param_space: The search space. It stays unchanged, and may be changed afterwards.
            num_samples: Number of samples (and of repetitions of its grid); -1 for no end.

        Raises:
            ValueError: for a space that cannot be sampled, or ``num_samples`` out of its range.
        """

    @property
    @abstractmethod
    def total_samples(self) -> int | None:
        """Total number of trials; None if it is unlimited or unknown."""

    @abstractmethod
    def next_suggestion(self) -> Suggestion | None:
        """Returns the next trial; None if there is none now, or none at all any more.

        Raises:
            SearchSpaceError: if a function of the search space fails.
            ValueError: if a searcher's suggestion is invalid.
        """

    @property
    def is_thinking(self) -> bool:
        """Whether a suggestion is being made, which needs no further event to be ready."""
        return False

    @property
    def is_slow(self) -> bool:
        """Whether suggestions take so long that they should be made before they are needed."""
        return False

    @abstractmethod
    def is_finished(self) -> bool:
        """Returns whether there will be no further suggestion."""

    def on_trial_result(  # noqa: B027
        self, trial_id: str, result: Mapping[str, Any]
    ) -> None:
        """Learns from a result of a trial that goes on.

        Args:
            trial_id: Id of the trial.
            result: The result with nested keys joined by ``/``.
        """

    def on_trial_complete(  # noqa: B027
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learns from the end of a trial; called once per trial, after its last attempt.

        Args:
            trial_id: Id of the trial.
            result: Its last flat result; None if it has none, or failed.
            error: Whether the trial failed.
        """

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed run needs: picklable, and of bounded size."""

    @abstractmethod
    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the state of ``get_state``; called after ``setup`` with the same arguments."""


def searcher_name(search: Any) -> str:
    """Returns the name of the innermost searcher's class, which is the one that the user gave."""
    inner = getattr(search, "searcher", None)
    while isinstance(inner, (Searcher, SearchAlgorithm)):
        search, inner = inner, getattr(inner, "searcher", None)
    return type(search).__name__
