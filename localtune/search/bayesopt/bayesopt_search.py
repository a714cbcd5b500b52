"""BayesOptSearch: Gaussian processes of the library bayesian-optimization."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError, SearchSpaceError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.base import Searcher
from localtune.search.convert import ConvertedSpace, Parameter, has_variables
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.sample import uniform
from localtune.search.shapes import Numbers

__all__ = ["BayesOptSearch"]

_LIBRARY = "bayesian-optimization"
_DIGITS = 5  # digits after the point to which numbers are compared
_UTILITY = {"kind": "ucb", "kappa": 2.576, "xi": 0.0}
_KINDS = ("ucb", "ei", "poi")


@old_arguments_of_class("Searcher")
class BayesOptSearch(LibrarySearcher):
    """Suggests numbers with the Gaussian process of the library bayesian-optimization.

    Log-uniform numbers are searched on a logarithmic scale. Whole and quantized numbers are
    rounded. Running trials enter the model with the worst value so far, so that concurrent trials
    differ (a "constant liar").

    Args:
        space: Dict with domains, or bounds of the library: ``{"x": (0, 1)}``; None takes the
            run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete.
        utility_kwargs: Acquisition function: ``kind`` (``"ucb"``, ``"ei"`` or ``"poi"``; by
            default ``"ucb"``), ``kappa`` (weight of the uncertainty for ucb; 2.576) and ``xi``
            (least improvement for the others; 0).
        random_state: Seed; None takes the one of the run, if it has one.
        random_search_steps: Number of random trials before the model is used.
        verbose: Verbosity of the library.
        patience: Number of duplicates in a row after which the search is finished; at least 1.
            While trials run, it waits for their results instead.
        skip_duplicate: Whether no configuration is suggested twice. A number is the number of
            digits after the point to which numbers are compared; True is 5.
        analysis: Earlier trials to learn from, such as an
            :class:`~localtune.ExperimentAnalysis`.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            library gets these values, and the points are not evaluated.

    Raises:
        ExtraMissingError: if the library is not installed.
        SearchSpaceError: for a choice, or another domain that the library cannot express.
        ValueError: for an argument out of its range, or points that do not fit the space.

    Algorithm: Snoek et al. 2012, "Practical Bayesian Optimization of Machine Learning
    Algorithms", section 2; for concurrent trials Ginsbourger et al. 2010, "Kriging is
    well-suited to parallelize optimization", section 4.2.

    Example:
        >>> searcher = BayesOptSearch({"x": (0, 1), "y": (-1, 1)}, "loss", "min")
        >>> sorted(searcher.suggest("a"))
        ['x', 'y']
    """

    library = _LIBRARY

    def __init__(
        self,
        space: dict[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        utility_kwargs: Mapping[str, Any] | None = None,
        random_state: int | None = 42,
        random_search_steps: int = 10,
        verbose: int = 0,
        patience: int = 5,
        skip_duplicate: bool | int = True,
        analysis: Any = None,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        _load()
        if random_search_steps < 1:
            raise ValueError(
                f"random_search_steps must be at least 1, but got {random_search_steps!r}."
            )
        if patience < 1:
            raise ValueError(f"patience must be at least 1, but got {patience!r}.")
        self._utility = _checked_utility(utility_kwargs)
        super().__init__(space, metric, mode, points_to_evaluate, random_state, evaluated_rewards)
        self._random_search_steps = random_search_steps
        self._verbose = verbose
        self._patience = patience
        self._digits = _DIGITS if skip_duplicate is True else int(skip_duplicate)
        self._skip_duplicate = skip_duplicate is not False
        self._analysis = analysis
        self._rng = random.Random()
        self._n_asked = 0
        self._pending: dict[str, dict[str, float]] = {}  # {id of a running trial: its place}
        self._known: list[
            tuple[dict[str, float], float]
        ] = []  # (place, value), where a higher value is better
        self._seen: set[tuple[float, ...]] = set()

    @staticmethod
    def convert_search_space(spec: dict[str, Any], join: bool = False) -> dict[str, Any]:
        """Returns the library's bounds for a search space.

        Args:
            spec: Dict with domains.
            join: Whether the result also holds the constants.

        Returns:
            {flat name: (lower, upper)}; the bounds of a log-uniform domain are logarithms.
        """
        bounds: dict[str, Any] = _bounds(ConvertedSpace(spec, _LIBRARY))
        if join:
            bounds.update({key: value for key, value in spec.items() if not has_variables(value)})
        return bounds

    def get_state(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_analysis"}

    def _use_space(self, space: dict[str, Any]) -> None:
        super()._use_space({key: _as_domain_if_bounds(value) for key, value in space.items()})
        assert self._space is not None
        _bounds(self._space)

    def _begin(self) -> None:
        self._rng = random.Random(self._seed)
        if self._analysis is not None:
            self.add_evaluated_trials(self._analysis, str(self.metric))

    def _ask(self, trial_id: str) -> dict[str, Any] | str | None:
        assert self._space is not None
        is_random = self._n_asked < self._random_search_steps or not self._known
        for _ in range(self._patience):
            place = self._random_place() if is_random else self._best_place()
            values = {
                parameter.name: _numbers(parameter).at(place[parameter.name])
                for parameter in self._space.parameters
            }
            if not self._skip_duplicate or self._key(values) not in self._seen:
                self._attach(trial_id, values)
                self._n_asked += 1
                return values
        # The results of running trials will change the model.
        return None if self._pending else Searcher.FINISHED

    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        assert self._space is not None
        self._seen.add(self._key(values))
        self._pending[trial_id] = {
            parameter.name: _numbers(parameter).place_of(values[parameter.name])
            for parameter in self._space.parameters
        }

    def _tell(self, trial_id: str, value: float | None) -> None:
        place = self._pending.pop(trial_id)
        if value is not None:
            self._known.append((place, -self._loss(value)))

    def _key(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        return tuple(round(values[name], self._digits) for name in sorted(values))

    def _random_place(self) -> dict[str, float]:
        assert self._space is not None
        return {
            name: self._rng.uniform(lower, upper)
            for name, (lower, upper) in _bounds(self._space).items()
        }

    def _best_place(self) -> dict[str, float]:
        """Returns the most promising place, from a new model: none is saved."""
        assert self._space is not None
        from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

        suggest, register = _model(
            _bounds(self._space), self._utility, self._rng.getrandbits(32), self._verbose
        )
        for place, value in self._known:
            register(params=place, target=value)
        worst = min(value for _, value in self._known)
        for place in self._pending.values():
            register(params=place, target=worst)
        # Threads do not speed up small matrices, and take CPU time from the trials.
        with threadpool_limits(1):
            return {name: float(value) for name, value in suggest().items()}


def _model(
    bounds: dict[str, tuple[float, float]], utility: Mapping[str, Any], seed: int, verbose: int
) -> tuple[Any, Any]:
    """Returns the functions (suggest, register) of a new model of the library."""
    library = _load()
    arguments: dict[str, Any] = {
        "f": None,
        "pbounds": bounds,
        "random_state": seed,
        "verbose": verbose,
        "allow_duplicate_points": True,
    }
    if hasattr(library, "UtilityFunction"):
        # Before version 2.0, each call takes the acquisition function.
        model = library.BayesianOptimization(**arguments)
        function = library.UtilityFunction(**utility)
        return lambda: model.suggest(function), model.register
    kind, kappa, xi = utility["kind"], utility["kappa"], utility["xi"]
    functions = library.acquisition
    if kind == "ucb":
        function = functions.UpperConfidenceBound(kappa=kappa)
    elif kind == "ei":
        function = functions.ExpectedImprovement(xi=xi)
    else:
        function = functions.ProbabilityOfImprovement(xi=xi)
    model = library.BayesianOptimization(acquisition_function=function, **arguments)
    return model.suggest, model.register


def _bounds(space: ConvertedSpace) -> dict[str, tuple[float, float]]:
    return {parameter.name: _numbers(parameter).scale() for parameter in space.parameters}


def _numbers(parameter: Parameter) -> Numbers:
    if isinstance(parameter.shape, Numbers):
        return parameter.shape
    raise SearchSpaceError(
        f"{_LIBRARY} searches numbers between bounds only, but {parameter.name!r} is "
        f"{parameter.domain!r}. Use a searcher that supports choices, such as OptunaSearch or "
        "HyperOptSearch, or make it a number."
    )


def _as_domain_if_bounds(value: Any) -> Any:
    """Returns bounds of the library, ``(lower, upper)``, as a domain; other values unchanged."""
    is_pair = isinstance(value, tuple) and len(value) == 2
    if is_pair and all(isinstance(bound, (int, float)) for bound in value):
        return uniform(*value)
    return value


def _checked_utility(given: Mapping[str, Any] | None) -> dict[str, Any]:
    unknown = sorted(set(given or {}) - set(_UTILITY))
    if unknown:
        raise ValueError(
            f"utility_kwargs may have {', '.join(_UTILITY)}, but got {', '.join(unknown)}."
        )
    utility = {**_UTILITY, **(given or {})}
    if utility["kind"] not in _KINDS:
        raise ValueError(
            f"The kind of utility_kwargs must be one of {', '.join(_KINDS)}, but got "
            f"{utility['kind']!r}."
        )
    return utility


def _load() -> Any:
    try:
        import bayes_opt
    except ImportError as error:
        raise ExtraMissingError("bayesian-optimization", "bayesopt", "BayesOptSearch") from error
    return bayes_opt
