"""SearcherWrapper: base class of searchers that wrap another searcher."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localtune.search.base import (
    Searcher,
    TrialEvent,
    inner_snapshot,
    load_snapshot,
    replay,
    snapshot,
)
from localtune.utils.calls import accepted


class SearcherWrapper(Searcher):
    """Base class of searchers that wrap another one; passes on all calls that are not overridden.

    Args:
        searcher: The wrapped searcher.

    Raises:
        TypeError: if ``searcher`` is no searcher.

    Attributes:
        searcher: The wrapped searcher.
    """

    def __init__(self, searcher: Searcher) -> None:
        if not isinstance(searcher, Searcher):
            hint = " Pass an instance, not the class." if isinstance(searcher, type) else ""
            raise TypeError(
                f"{type(self).__name__} wraps a Searcher such as OptunaSearch(...), but got "
                f"{searcher!r}.{hint}"
            )
        super().__init__()
        self.searcher = searcher

    @property
    def metric(self) -> str | list[str] | None:
        return self.searcher.metric

    @property
    def mode(self) -> str | list[str] | None:
        return self.searcher.mode

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        hook = self.searcher.set_search_properties
        return hook(metric, mode, config, **accepted(hook, spec))

    def set_objective(self, metric: str | None, mode: str | None, seed: int | None = None) -> None:
        self.searcher.set_objective(metric, mode, seed)

    def check_run(self) -> None:
        self.searcher.check_run()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self.searcher.suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.searcher.on_trial_complete(trial_id, result=result, error=error)

    def on_last_suggestion(self) -> None:
        self.searcher.on_last_suggestion()

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        self.searcher.add_evaluated_point(parameters, value, error, pruned, intermediate_values)

    def add_evaluated_trials(self, trials_or_analysis: Any, metric: str) -> None:
        self.searcher.add_evaluated_trials(trials_or_analysis, metric)

    def restore_snapshot(self, data: bytes, events: Iterable[TrialEvent]) -> None:
        if inner_snapshot(data) is None:
            self.searcher.restore_snapshot(data, events)
        else:
            load_snapshot(self, data)
            replay(self, events)

    def get_state(self) -> dict[str, Any]:
        own = {key: value for key, value in self.__dict__.items() if key != "searcher"}
        return {"own": own, "searcher": snapshot(self.searcher)}

    def set_state(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["own"])
        load_snapshot(self.searcher, state["searcher"])
