"""AxSearch: Bayesian optimisation of the library Ax."""

from __future__ import annotations

import logging
import random
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from localtune.error import ExtraMissingError, SearchSpaceError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.base import Searcher
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.native import NativeSpace, known_part, plain
from localtune.search.sample import choice, lograndint, loguniform, randint, uniform
from localtune.search.shapes import Numbers, Options
from localtune.utils.numeric import is_real

__all__ = ["AxSearch"]

_LIBRARY = "Ax"
_OBJECTIVE = "objective"  # name for a metric whose own name Ax would parse as a formula
_CLIENT = ("random_seed", "storage_config")  # arguments of ax.Client
_LIBRARIES = r"(ax|botorch|gpytorch|linear_operator|pyro|sympy|torch)(\.|$)"


@old_arguments_of_class("Searcher")
class AxSearch(LibrarySearcher):
    """Suggests configurations with the Bayesian optimisation of Ax 1.0 or newer.

    Failed trials are marked as abandoned, so that they are not suggested again. Quantized
    numbers are rounded. Once there are results, a suggestion takes seconds.

    Args:
        space: Dict with domains, or a list of parameters in the form of Ax's service interface
            (``[{"name": "x", "type": "range", "bounds": [0, 1]}]``); None takes the run's
            ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete.
        parameter_constraints: Linear inequalities of parameters at the top of the space:
            ``["x + y <= 1"]``.
        outcome_constraints: Inequalities of other metrics: ``["latency <= 20"]``.
        ax_client: An ``ax.Client`` with a configured experiment and objective, in place of
            space, metric, mode and constraints.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            library gets these values, and the points are not evaluated.
        **ax_kwargs: Arguments for a new client: those of ``ax.Client`` (``random_seed``, by
            default from the run's seed, and ``storage_config``), and those of its
            ``configure_generation_strategy``, such as ``method="quality"``, or
            ``initialization_budget=10``, the number of trials before the model is used.

    Raises:
        ExtraMissingError: if Ax is not installed.
        SearchSpaceError: for a space that Ax cannot express.
        ValueError: for contradicting arguments, or points that do not fit the space.

    Algorithm: Balandat et al. 2020, "BoTorch: A Framework for Efficient Monte-Carlo Bayesian
    Optimization", section 4.
    """

    library = _LIBRARY

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        parameter_constraints: Sequence[str] | None = None,
        outcome_constraints: Sequence[str] | None = None,
        ax_client: Any = None,
        evaluated_rewards: Sequence[float] | None = None,
        **ax_kwargs: Any,
    ) -> None:
        _load()
        self._parameter_constraints = list(parameter_constraints or ())
        self._outcome_constraints = list(outcome_constraints or ())
        self._kwargs = ax_kwargs
        self._client = ax_client
        self._numbers: dict[str, int] = {}  # {id of a live trial: its number in the experiment}
        self._results: dict[str, dict[str, Any]] = {}  # {id of a trial that ends: last result}
        self._objective: str | None = None  # name of the metric in Ax
        if ax_client is not None:
            others = (space, metric, mode, parameter_constraints, outcome_constraints)
            if ax_kwargs or any(each is not None for each in others):
                raise ValueError(
                    "ax_client has a space, an objective and constraints of its own. Leave out "
                    "space, metric, mode, parameter_constraints, outcome_constraints and further "
                    "arguments."
                )
            space, metric, mode = _read_client(ax_client)
            self._objective = metric
        elif space is not None and not isinstance(space, dict):
            space = _domains(space)
        _check_arguments(ax_kwargs)
        seed = ax_kwargs.get("random_seed")
        super().__init__(space, metric, mode, points_to_evaluate, seed, evaluated_rewards)

    @staticmethod
    def convert_search_space(spec: dict[str, Any]) -> list[Any]:
        """Returns Ax's parameters (``RangeParameterConfig`` and so on) for a search space."""
        _load()
        return _parameters(ConvertedSpace(spec, _LIBRARY))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._results[trial_id] = result or {}
        super().on_trial_complete(trial_id, result, error)
        self._results.pop(trial_id, None)

    def _use_space(self, space: Any) -> None:
        if isinstance(space, _AxSpace):
            self._space = space
            self.point_values()
            self._check_evaluated()
            return
        super()._use_space(space)
        assert self._space is not None
        _parameters(self._space)

    def _begin(self) -> None:
        if self._client is not None:
            return
        assert self._space is not None
        metric = str(self.metric)
        self._objective = metric if metric.isidentifier() else _OBJECTIVE
        seed = random.Random(self._seed).getrandbits(31)
        with _quiet():
            for_client = {key: value for key, value in self._kwargs.items() if key in _CLIENT}
            client = _load().Client(**{"random_seed": seed, **for_client})
            client.configure_experiment(
                parameters=_parameters(self._space),
                parameter_constraints=self._parameter_constraints,
            )
            client.configure_optimization(
                objective=("" if self.mode == "max" else "-") + self._objective,
                outcome_constraints=self._outcome_constraints,
            )
            client.configure_generation_strategy(
                **{key: value for key, value in self._kwargs.items() if key not in _CLIENT}
            )
        self._client = client

    def _ask(self, trial_id: str) -> dict[str, Any] | str | None:
        from ax.exceptions import core, generation_strategy
        from threadpoolctl import threadpool_limits  # a dependency of Ax

        try:
            # Threads do not speed up small matrices, and take CPU time from the trials.
            with _quiet(), threadpool_limits(1):
                asked = self._client.get_next_trials(max_trials=1)
        except (core.SearchSpaceExhausted, generation_strategy.OptimizationComplete):
            return Searcher.FINISHED
        except (core.DataRequiredError, generation_strategy.MaxParallelismReachedException):
            return None
        for number, values in asked.items():
            self._numbers[trial_id] = number
            return {**self._fixed(), **values}
        return None

    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        known = {name: value for name, value in values.items() if name not in self._fixed()}
        with _quiet():
            self._numbers[trial_id] = self._client.attach_trial(parameters=known)

    def _tell(self, trial_id: str, value: float | None) -> None:
        number = self._numbers.pop(trial_id)
        with _quiet():
            if value is None:
                self._client.mark_trial_abandoned(number)
            else:
                data = self._outcomes(self._results.get(trial_id, {}))
                data[str(self._objective)] = value
                self._client.complete_trial(number, raw_data=data)

    def _outcomes(self, result: Mapping[str, Any]) -> dict[str, float]:
        """Returns the values of the metrics in the outcome constraints."""
        names = {
            name
            for constraint in self._outcome_constraints
            for name in re.findall(r"[^\W\d]\w*", re.split("[<>]=", constraint)[0])
        }
        if isinstance(self._space, _AxSpace):
            names = self._space.metrics
        return {name: float(result[name]) for name in sorted(names) if name in result}

    def _fixed(self) -> dict[str, Any]:
        """Returns the parameters with only one value, which Ax does not get."""
        assert self._space is not None
        return {
            parameter.name: only
            for parameter in self._space.parameters
            if (only := _only_value(parameter)) is not None
        }


class _AxSpace(NativeSpace):
    """The parameters of a client that the user has configured."""

    def __init__(self, names: set[str], metrics: set[str]) -> None:
        super().__init__(_LIBRARY)
        self.names = names
        self.metrics = metrics

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(plain(dict(values)))

    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        given = known_part(config, self.names, what, _LIBRARY, all_known)
        missing = sorted(self.names - set(given))
        if missing:
            raise ValueError(f"{what} must have a value for each name, but {missing} is missing.")
        return given


def _check_arguments(given: Mapping[str, Any]) -> None:
    import inspect

    strategy = inspect.signature(_load().Client.configure_generation_strategy)
    known = {*_CLIENT, *strategy.parameters} - {"self"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(
            f"The further arguments of AxSearch may be {', '.join(sorted(known))}, but got "
            f"{', '.join(unknown)}."
        )


def _read_client(client: Any) -> tuple[_AxSpace, str, str]:
    """Returns (space, metric, mode) of a configured client."""
    if not isinstance(client, _load().Client):
        raise TypeError(
            f"ax_client must be an ax.Client, but got {client!r}. Ax replaces AxClient by Client: "
            "see https://ax.dev."
        )
    experiment = client._maybe_experiment
    optimization = None if experiment is None else experiment.optimization_config
    if optimization is None:
        raise ValueError(
            "ax_client must have an experiment and an objective. Call configure_experiment and "
            "configure_optimization first."
        )
    objective = optimization.objective
    if len(objective.metric_names) != 1:
        raise ValueError(
            f"ax_client must have one objective, but has {', '.join(objective.metric_names)}."
        )
    space = _AxSpace(set(experiment.search_space.parameters), set(experiment.metrics))
    return space, objective.metric_names[0], "min" if objective.minimize else "max"


def _parameters(space: ConvertedSpace) -> list[Any]:
    parameters = [
        _parameter(parameter) for parameter in space.parameters if _only_value(parameter) is None
    ]
    if space.parameters and not parameters:
        raise SearchSpaceError("Ax needs a parameter with more than one value, but there is none.")
    return parameters


def _only_value(parameter: Parameter) -> float | None:
    """Returns the value of a parameter with only one, else None; Ax needs at least two."""
    shape = parameter.shape
    if isinstance(shape, Options):
        return 0 if len(shape.values) == 1 else None
    assert isinstance(shape, Numbers)
    return shape.lower if shape.lower == shape.upper else None


def _parameter(parameter: Parameter) -> Any:
    configs = _load()
    shape = parameter.shape
    if isinstance(shape, Options):
        return configs.ChoiceParameterConfig(
            name=parameter.name,
            values=list(range(len(shape.values))),
            parameter_type="int",
            is_ordered=_is_ordered(shape.values),
        )
    assert isinstance(shape, Numbers)
    return configs.RangeParameterConfig(
        name=parameter.name,
        bounds=(shape.lower, shape.upper),
        parameter_type="int" if shape.is_integer else "float",
        scaling="log" if shape.is_log else "linear",
    )


def _is_ordered(values: Sequence[Any]) -> bool:
    return all(map(is_real, values)) and list(values) == sorted(values)


def _domains(parameters: Any) -> dict[str, Any]:
    """Returns the search space for parameters in the form of Ax's service interface."""
    space: dict[str, Any] = {}
    for parameter in parameters:
        if not isinstance(parameter, Mapping) or "name" not in parameter:
            raise SearchSpaceError(
                f"A parameter of Ax must be a dict with 'name' and 'type', but got {parameter!r}."
            )
        space[parameter["name"]] = _domain(**parameter)
    return space


def _domain(
    name: str,
    type: str = "range",
    bounds: Sequence[float] = (),
    values: Sequence[Any] = (),
    value: Any = None,
    log_scale: bool = False,
    value_type: str | None = None,
    **others: Any,
) -> Any:
    unknown = sorted(set(others) - {"is_ordered", "sort_values"})
    if unknown or type not in ("range", "choice", "fixed"):
        raise SearchSpaceError(
            f"A parameter of Ax must be of type 'range', 'choice' or 'fixed', and have bounds, "
            f"values, value, log_scale or value_type, but {name!r} is of type {type!r} and has "
            f"{', '.join(unknown) or 'no others'}. Use an ax.Client for more."
        )
    if type == "fixed":
        return value
    if type == "choice":
        return choice(values)
    if len(bounds) != 2:
        raise SearchSpaceError(f"bounds must be two numbers, but {name!r} has {bounds!r}.")
    lower, upper = bounds
    is_whole = all(isinstance(bound, int) for bound in bounds)
    if value_type == "int" or (value_type is None and is_whole):
        return (lograndint if log_scale else randint)(int(lower), int(upper) + 1)
    return (loguniform if log_scale else uniform)(lower, upper)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses warnings of Ax and its libraries about their own code."""
    logging.getLogger("ax.api.client").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=_LIBRARIES)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _load() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ax
        # Older versions have another interface.
        ax.Client, ax.RangeParameterConfig, ax.ChoiceParameterConfig  # noqa: B018
    except (ImportError, AttributeError) as error:
        raise ExtraMissingError("ax-platform>=1.0", "ax", "AxSearch") from error
    return ax
