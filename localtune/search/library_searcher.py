"""LibrarySearcher: base class of adapters of libraries with an ask-and-tell interface.

::

    suggest ----> _begin (once) ----> a point is left?  yes: _attach  no: _ask  ----> configuration
    on_trial_complete, add_evaluated_point ----> _tell
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.search.base import Searcher
from localtune.search.rng import derive_seed
from localtune.search.space_searcher import SpaceSearcher
from localtune.search.variables import as_domain
from localtune.utils.best import is_number


class LibrarySearcher(SpaceSearcher):
    """Base class of adapters of libraries that are asked for values and told the results.

    Args:
        space: Search space; None takes the run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with.
        seed: Seed; None derives one from the seed of the run.
        evaluated_rewards: Known value of the metric for each of the points. The library gets
            these values, and the points are not evaluated.

    Raises:
        ValueError: for rewards that are no numbers, and as the base class.
    """

    def __init__(
        self,
        space: Any,
        metric: str | None,
        mode: str | None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None,
        seed: int | None,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        self._seed = seed
        self._has_begun = False
        self._n_points_given = 0
        self._live: set[str] = set()  # ids of trials that have not ended
        self._evaluated: list[
            tuple[dict[str, Any], float | None]
        ] = []  # points that the library does not know
        self._n_evaluated = 0
        # The run does not know the constants in the searcher's own space.
        self._own_space: dict[str, Any] = space if isinstance(space, dict) else {}
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards)
        for reward in self._rewards:
            if not is_number(reward):
                raise ValueError(f"evaluated_rewards must be numbers, but got {reward!r}.")

    @abstractmethod
    def _begin(self) -> None:
        """Makes the library's model; space, metric, mode and seed are set."""

    @abstractmethod
    def _ask(self, trial_id: str) -> dict[str, Any] | str | None:
        """Asks the library for values for a trial, and registers the trial's id.

        Returns:
            {name of the parameter: value}; None or FINISHED as for :meth:`suggest`.
        """

    @abstractmethod
    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        """Makes the library know a trial with given values."""

    @abstractmethod
    def _tell(self, trial_id: str, value: float | None) -> None:
        """Tells the library the value of a trial; None if the trial failed or has no value."""

    def set_objective(self, metric: str | None, mode: str | None, seed: int | None = None) -> None:
        super().set_objective(metric, mode, seed)
        if self._seed is None:
            self._seed = derive_seed(seed)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        space = self.check_ready()
        self._prepare()
        points = [] if self._rewards else self.point_values()
        values: dict[str, Any] | str | None
        if self._n_points_given < len(points):
            values = points[self._n_points_given]
            self._attach(trial_id, values)
            self._n_points_given += 1
        else:
            values = self._ask(trial_id)
        if values is None or values == Searcher.FINISHED:
            return values
        assert isinstance(values, dict)
        self._live.add(trial_id)
        return _with_rest(self._own_space, space.config(values))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if trial_id not in self._live:
            return
        self._live.discard(trial_id)
        self._tell(trial_id, None if error else _finite(self.value_of(result)))

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        if self._space is not None:
            self._space.values(parameters, "The evaluated point", all_known=False)
        self._evaluated.append((dict(parameters), None if error or pruned else _finite(value)))

    def _use_space(self, space: Any) -> None:
        super()._use_space(space)
        self._check_evaluated()

    def _check_evaluated(self) -> list[dict[str, Any]]:
        assert self._space is not None
        return [
            self._space.values(point, "The evaluated point", all_known=False)
            for point, _ in self._evaluated
        ]

    def _prepare(self) -> None:
        """Makes the model at the first call, and tells it the evaluated points."""
        if not self._has_begun:
            self._begin()
            self._has_begun = True
            if self._rewards:
                for values, reward in zip(self.point_values(), self._rewards, strict=True):
                    self._tell_evaluated(values, _finite(reward))
        for values, (_, value) in zip(self._check_evaluated(), self._evaluated, strict=True):
            self._tell_evaluated(values, value)
        self._evaluated.clear()

    def _tell_evaluated(self, values: dict[str, Any], value: float | None) -> None:
        name = f"evaluated {self._n_evaluated}"
        self._attach(name, values)
        self._tell(name, value)
        self._n_evaluated += 1

    def _loss(self, value: float) -> float:
        """Returns the value with its sign set so that lower is better."""
        return float(-value if self.mode == "max" else value)


def _finite(value: float | None) -> float | None:
    """Returns the value as a float; None if it is not finite, which no model can use."""
    return float(value) if value is not None and math.isfinite(value) else None


def _with_rest(space: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration with the constants and functions of its space added."""
    whole = dict(config)
    for key, part in space.items():
        if key not in config:
            whole[key] = part
        elif (
            isinstance(part, dict) and isinstance(config[key], dict) and as_domain(part, ()) is None
        ):
            whole[key] = _with_rest(part, config[key])
    return whole
