"""SearcherWrapper: a searcher that changes how another one is asked and told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localtune.search.searcher import Searcher, Told, load_snapshot, snapshot, tell, within
from localtune.utils.calls import accepted


class SearcherWrapper(Searcher):
    """Base class: passes everything on but what deriving classes override.

    Args:
        searcher: The searcher within.

    Raises:
        TypeError: if it is no searcher.

    Attributes:
        searcher: The same.
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

    def go_on_from(self, data: bytes, told: Iterable[Told]) -> None:
        if within(data) is None:
            self.searcher.go_on_from(data, told)
        else:
            load_snapshot(self, data)
            tell(self, told)

    def get_state(self) -> dict[str, Any]:
        own = {key: value for key, value in self.__dict__.items() if key != "searcher"}
        return {"own": own, "searcher": snapshot(self.searcher)}

    def set_state(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["own"])
        load_snapshot(self.searcher, state["searcher"])
