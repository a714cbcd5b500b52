"""SpaceSearcher: base class of searchers that convert a search space for a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from localtune.old_names import use as old
from localtune.result import DEFAULT_METRIC
from localtune.search.base import Searcher
from localtune.search.containers import Path
from localtune.search.convert import ConvertedSpace, has_variables, variables_of
from localtune.utils.best import is_number


class SpaceSearcher(Searcher):
    """Base class of searchers that convert a search space with domains for a library.

    The space comes from the constructor, or from the run. Subclasses set the class attributes
    below, make the library's model at the first suggestion (see ``check_ready``), and return
    ``self._space.config(values)`` for the values that the library chose.

    Args:
        space: Dict with domains in it; None takes the run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete, nested or flat.
        evaluated_rewards: Known value of the metric for each of the points; None evaluates them.

    Raises:
        ValueError: for points that do not fit the space, or rewards that do not fit the points.
    """

    # Name of the library, for errors.
    library: ClassVar[str] = "This search"
    # Whether the library supports choices with domains inside.
    conditional: ClassVar[bool] = False
    # Whether the library supports randn.
    normal: ClassVar[bool] = False

    def __init__(
        self,
        space: dict[str, Any] | None = None,
        metric: str | list[str] | None = None,
        mode: str | list[str] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        super().__init__(metric, mode)
        check_points(points_to_evaluate, evaluated_rewards)
        self._points = [dict(point) for point in points_to_evaluate or ()]
        self._rewards = list(evaluated_rewards or ())
        self._space: ConvertedSpace | None = None
        self._given_space: Any = None  # the space before conversion
        if space is not None:
            self._take_space(space)

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        self.set_objective(metric, mode, spec.get("seed"))
        if not has_variables(config):
            return False
        if self.has_space:
            # A restored state may have brought the run's own space.
            return _variables_text(config) == _variables_text(self._given_space)
        self._take_space(config)
        return True

    @property
    def has_space(self) -> bool:
        """Whether the searcher has a search space."""
        return self._space is not None

    def check_ready(self) -> ConvertedSpace:
        """Returns the space after a check that the searcher can suggest.

        Raises:
            RuntimeError: if the space, the metric or the mode is missing.
        """
        self.check_run()
        assert self._space is not None
        return self._space

    def check_run(self) -> None:
        if self.mode is not None and self._metric is None:
            self._metric = DEFAULT_METRIC
        if self._mode is None:
            self._mode = old.mode_alone(self._metric, None)
        missing = [name for name in ("metric", "mode") if not getattr(self, name)]
        if not self.has_space:
            missing.insert(0, "search space")
        if missing:
            raise RuntimeError(
                f"{type(self).__name__} has no {' and no '.join(missing)}. Give it to the "
                "searcher or to the Tuner."
            )

    def value_of(self, result: Mapping[str, Any] | None) -> float | None:
        """Returns the metric in a flat result; None if it is missing, NaN or no number."""
        value = (result or {}).get(str(self.metric))
        return value if is_number(value) else None

    def point_values(self) -> list[dict[str, Any]]:
        """Returns ``points_to_evaluate`` as values for the library: {name of a parameter: value}.

        Raises:
            ValueError: if a point does not fit the space.
        """
        if self._space is None:
            return []
        return [
            self._space.values(point, f"points_to_evaluate[{number}]")
            for number, point in enumerate(self._points)
        ]

    def _take_space(self, space: Any) -> None:
        self._use_space(space)
        self._given_space = space

    def _use_space(self, space: dict[str, Any]) -> None:
        self._space = ConvertedSpace(
            space, self.library, conditional=self.conditional, normal=self.normal
        )
        self.point_values()  # so that a point that does not fit is an error before the run


def _variables_text(space: Any) -> dict[Path, str]:
    """Returns {path: domain as text} of the variables of a search space."""
    return {path: repr(domain) for path, domain in variables_of(space, ())}


def check_points(points: Any, rewards: Any) -> None:
    """Checks ``points_to_evaluate`` and ``evaluated_rewards``.

    Args:
        points: The points, or None.
        rewards: The rewards, or None.

    Raises:
        TypeError: if the points are no list of dicts.
        ValueError: if there is not one reward per point.
    """
    if points is not None and not (
        isinstance(points, Sequence) and all(isinstance(point, Mapping) for point in points)
    ):
        raise TypeError(
            f"points_to_evaluate must be a list of dicts (configurations), but got {points!r}."
        )
    if rewards is None:
        return
    if not isinstance(rewards, Sequence) or len(rewards) != len(points or ()):
        raise ValueError(
            "evaluated_rewards must have one value for each of points_to_evaluate, but there are "
            f"{len(points or ())} points and the rewards are {rewards!r}."
        )
