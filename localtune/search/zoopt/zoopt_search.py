"""ZOOptSearch: optimisation by classification, of the library ZOOpt."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from localtune.config.checks import is_count
from localtune.error import ExtraMissingError, SearchSpaceError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.sample import choice, randint, uniform
from localtune.search.shapes import Numbers, Options

__all__ = ["ZOOptSearch"]

_LIBRARY = "ZOOpt"
_DEFAULT_BUDGET = 100  # number of suggestions, if neither the user nor the run gives one
_LEAST_BUDGET = 4  # smallest budget that ZOOpt accepts
_WORST = float("inf")
_PRECISION = 1e-10
_TRIES = 5  # number of attempts to find a new place


@old_arguments_of_class("Searcher")
class ZOOptSearch(LibrarySearcher):
    """Suggests configurations with the algorithm ASRacos of ZOOpt. Choices may have domains inside.

    It draws the first 4 to 22 configurations at random, depending on the budget, and waits for
    their results. A failed trial counts as the worst. The state of NumPy's global generator is
    saved and restored around the library's draws.

    Args:
        algo: ``"asracos"``, the only supported algorithm.
        budget: Planned number of suggestions; None is the run's ``num_samples``, or 100.
        dim_dict: Search space: a dict with domains, or with dimensions of ZOOpt,
            ``{"x": (ValueType.CONTINUOUS, [0, 1], 1e-2)}``; None takes the run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete.
        parallel_num: Number of concurrent trials after the random ones; at least 1.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            library gets these values, and the points are not evaluated.
        **kwargs: Arguments of ``zoopt.Parameter``, such as ``seed`` and ``exploration_rate``.

    Raises:
        ExtraMissingError: if ZOOpt is not installed.
        SearchSpaceError: for a space that ZOOpt cannot express.
        ValueError: for an argument out of its range, or points that do not fit the space.

    Algorithm: Liu et al. 2019, "Asynchronous Classification-Based Optimization"; Hu et al. 2017,
    "Sequential Classification-Based Optimization for Direct Policy Search", section 3.

    Example:
        >>> from localtune.search.sample import randint, uniform
        >>> space = {"x": uniform(0, 1), "depth": randint(1, 9)}
        >>> searcher = ZOOptSearch(budget=20, dim_dict=space, metric="loss", mode="min")
        >>> sorted(searcher.suggest("a"))
        ['depth', 'x']
    """

    library = _LIBRARY
    conditional = True

    def __init__(
        self,
        algo: str = "asracos",
        budget: int | None = None,
        dim_dict: dict[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        parallel_num: int = 1,
        evaluated_rewards: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        _load()
        if algo.lower() not in ("asracos", "sracos"):
            raise ValueError(f"algo must be 'asracos', but got {algo!r}.")
        for name, value in (
            ("budget", 1 if budget is None else budget),
            ("parallel_num", parallel_num),
        ):
            if not is_count(value, least=1):
                raise ValueError(f"{name} must be a whole number above 0, but got {value!r}.")
        self._budget = budget
        self._n_samples: int | None = None
        self._parallel_num = parallel_num
        self._kwargs = kwargs
        self._model: Any = None
        self._precisions: list[int | None] = []
        self._random_state: Any = None  # state of NumPy's generator for the library's draws
        self._solutions: dict[str, Any] = {}  # {id of a live trial: the library's object for it}
        seed = kwargs.get("seed")
        super().__init__(dim_dict, metric, mode, points_to_evaluate, seed, evaluated_rewards)

    @staticmethod
    def convert_search_space(spec: dict[str, Any]) -> dict[str, Any]:
        """Returns {flat name: dimension of ZOOpt} for a search space.

        A choice is the number of its option. Parameters that depend on a choice always exist.
        Quantized and log-uniform numbers are places from 0 to 1.
        """
        space = ConvertedSpace(spec, _LIBRARY, conditional=True)
        return {parameter.name: _dimension(parameter) for parameter in space.parameters}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        self._n_samples = spec.get("num_samples")
        return super().set_search_properties(metric, mode, config, **spec)

    def _use_space(self, space: dict[str, Any]) -> None:
        super()._use_space({key: _domain_of(key, value) for key, value in space.items()})

    def _begin(self) -> None:
        from numpy.random import RandomState

        zoopt = _load()
        from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune
        from zoopt.utils.zoo_global import gl

        assert self._space is not None
        seed = random.Random(self._seed).getrandbits(32)
        self._random_state = RandomState(seed).get_state()
        planned = self._n_samples if (self._n_samples or 0) > 0 else _DEFAULT_BUDGET
        budget = max(self._budget or planned or _DEFAULT_BUDGET, _LEAST_BUDGET)
        with self._drawing():
            dimension = zoopt.Dimension2([_dimension(each) for each in self._space.parameters])
            self._precisions = gl.float_precisions
            self._model = SRacosTune(
                dimension=dimension,
                parameter=zoopt.Parameter(budget=budget, **{**self._kwargs, "seed": None}),
                parallel_num=self._parallel_num,
            )

    def _ask(self, trial_id: str) -> dict[str, Any] | None:
        with self._drawing():
            solution = self._next_solution()
        if solution is None:
            return None
        self._solutions[trial_id] = solution
        assert self._space is not None
        places = zip(self._space.parameters, solution.get_x(), strict=True)
        return {parameter.name: _value(parameter, place) for parameter, place in places}

    def _next_solution(self) -> Any:
        """Returns the library's suggestion; None if the library waits for results."""
        model = self._model
        objective = model.get_objective()
        for _ in range(0 if self._is_small() else _TRIES):
            if model.semaphore == 0 and self._are_first_ones_known():
                # All results of the random trials came before the library began to wait.
                model.semaphore = 1
            model.live_num, first_count = len(self._solutions), model.init_num
            solution = model.suggest()
            if solution is None and first_count == model.get_parameters().get_train_size():
                continue  # the library begins to wait, although all results may be there
            if solution is None and model.live_num == len(self._solutions):
                return None
            if solution is not None and not isinstance(solution, str):
                return solution
            # The library found only places that it has tried before.
            model.init_num = first_count
        if not self._are_first_ones_known():
            model.init_num += 1
        return objective.construct_solution(objective.get_dim().rand_sample())

    def _is_small(self) -> bool:
        """Returns whether the space has so few places that the random trials would cover it."""
        is_limited, count = self._model.get_objective().get_dim().limited_space()
        return bool(is_limited and count <= self._model.get_parameters().get_train_size())

    def _are_first_ones_known(self) -> bool:
        return bool(self._model.complete_num >= self._model.get_parameters().get_train_size())

    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        assert self._space is not None
        model = self._model
        places = [_place(each, values.get(each.name)) for each in self._space.parameters]
        self._solutions[trial_id] = model.get_objective().construct_solution(places)
        if model.init_num < model.get_parameters().get_train_size():
            model.init_num += 1

    def _tell(self, trial_id: str, value: float | None) -> None:
        solution, model = self._solutions.pop(trial_id), self._model
        if model.is_distinct(model._positive_data + model._negative_data, solution):
            with self._drawing():
                model.complete(solution, _WORST if value is None else self._loss(value))
            return
        # The same place must not count twice, as a good and as a bad one.
        if not self._are_first_ones_known():
            model.init_num = min(model.init_num, model.get_parameters().get_train_size()) - 1
            model.semaphore = 1  # the library may have waited for this result

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Sets the global state that the library uses, and restores the old state afterwards."""
        from numpy import random as numpy_random
        from zoopt.utils.zoo_global import gl

        others, precisions = numpy_random.get_state(), gl.float_precisions
        numpy_random.set_state(self._random_state)
        gl.float_precisions = self._precisions
        try:
            yield
        finally:
            self._random_state = numpy_random.get_state()
            numpy_random.set_state(others)
            gl.float_precisions = precisions


def _dimension(parameter: Parameter) -> tuple[Any, ...]:
    """Returns ZOOpt's dimension for one parameter."""
    kinds = _load().ValueType
    shape = parameter.shape
    if isinstance(shape, Options):
        count = len(shape.values)
        # ZOOpt refuses a grid of one value.
        return (kinds.GRID, list(range(count))) if count > 1 else (kinds.DISCRETE, [0, 0], True)
    assert isinstance(shape, Numbers)  # ConvertedSpace has refused all else
    if _is_plain_integer(shape):
        return (kinds.DISCRETE, [int(shape.lower), int(shape.upper)], True)
    # The range is 0 to 1, because ZOOpt's precision is absolute.
    return (kinds.CONTINUOUS, [0, 1], _PRECISION)


def _value(parameter: Parameter, place: Any) -> Any:
    """Returns the value at a place that ZOOpt chose."""
    shape = parameter.shape
    if not isinstance(shape, Numbers) or _is_plain_integer(shape):
        return int(place)
    lower, upper = shape.scale()
    return shape.at(lower + float(place) * (upper - lower))


def _place(parameter: Parameter, value: Any) -> Any:
    """Returns ZOOpt's place of a value; a default place for None, if the condition is not met."""
    shape = parameter.shape
    if not isinstance(shape, Numbers):
        return 0 if value is None else int(value)
    if _is_plain_integer(shape):
        return int(shape.lower if value is None else value)
    lower, upper = shape.scale()
    if value is None or lower == upper:
        return 0.5
    return (shape.place_of(value) - lower) / (upper - lower)


def _is_plain_integer(shape: Numbers) -> bool:
    return shape.is_integer and not shape.is_log and shape.q is None


def _domain_of(name: str, value: Any) -> Any:
    """Returns a dimension of ZOOpt, ``(type, range, ...)``, as a domain; other values unchanged."""
    kinds = _load().ValueType
    known = (kinds.CONTINUOUS, kinds.DISCRETE, kinds.GRID)
    if not isinstance(value, tuple) or len(value) not in (2, 3) or value[0] not in known:
        return value
    kind, bounds = value[:2]
    if kind == kinds.GRID:
        return choice(bounds)
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise SearchSpaceError(f"The range of {name!r} must be two numbers, but is {bounds!r}.")
    lower, upper = bounds
    if kind == kinds.CONTINUOUS:
        return uniform(lower, upper)
    is_ordered = len(value) == 3 and value[2]
    return randint(lower, upper + 1) if is_ordered else choice(range(lower, upper + 1))


def _load() -> Any:
    try:
        import zoopt
    except ImportError as error:
        raise ExtraMissingError("zoopt", "zoopt", "ZOOptSearch") from error
    return zoopt
