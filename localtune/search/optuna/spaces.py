"""The three forms of a search space for Optuna.

domains of localtune         study.ask(), then trial.suggest_*; choices precede their contents
distributions of Optuna      study.ask(fixed_distributions)
a function                   study.ask(), then the function calls trial.suggest_* itself
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localtune.error import SearchSpaceError
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.shapes import Numbers, Options
from localtune.utils.dicts import flatten_dict, unflatten_dict
from localtune.utils.messages import warn
from localtune.utils.text import did_you_mean

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import Trial

_SLOW_S = 1.0

LIBRARY = "Optuna"


class OptunaSpace(ABC):
    """Base class of search spaces from which an Optuna study suggests."""

    @abstractmethod
    def ask(self, study: Study) -> tuple[Trial, dict[str, Any]]:
        """Returns a new trial of the study, and its (nested) configuration."""

    @abstractmethod
    def params(self, point: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Returns the study's parameters for a configuration.

        Args:
            point: The configuration.
            what: Name of the configuration in errors.

        Raises:
            ValueError: if the configuration does not fit the space.
        """

    @abstractmethod
    def evaluated(
        self, point: Mapping[str, Any], what: str
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Returns (parameters, their distributions) for a configuration evaluated elsewhere.

        Keys that are not in the space are ignored.

        Args:
            point: The configuration.
            what: Name of the configuration in errors.

        Raises:
            ValueError: for a missing value, or a value that the space cannot give.
        """


class DomainSpace(OptunaSpace):
    """A dict with domains of localtune in it.

    Raises:
        SearchSpaceError: for a domain that Optuna cannot express.
    """

    def __init__(self, space: dict[str, Any]) -> None:
        self._space = ConvertedSpace(space, LIBRARY, conditional=True)
        self._distributions = {each.name: distribution(each) for each in self._space.parameters}
        self._labels = {
            each.name: each.shape.labels()
            for each in self._space.parameters
            if isinstance(each.shape, Options)
        }

    def ask(self, study: Study) -> tuple[Trial, dict[str, Any]]:
        trial = study.ask()

        def choose(parameter: Parameter) -> Any:
            value = suggested(trial, parameter.name, self._distributions[parameter.name])
            labels = self._labels.get(parameter.name)
            return value if labels is None else number_of(labels, value)

        return trial, self._space.choose(choose)

    def params(self, point: Mapping[str, Any], what: str) -> dict[str, Any]:
        return self._labelled(self._space.values(point, what))

    def evaluated(
        self, point: Mapping[str, Any], what: str
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        params = self._labelled(self._space.values(point, what, all_known=False))
        return params, {name: self._distributions[name] for name in params}

    def _labelled(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._labels[name][value] if name in self._labels else value
            for name, value in values.items()
        }


class DistributionSpace(OptunaSpace):
    """A (nested) dict of Optuna's distributions.

    Raises:
        TypeError: for any other value in it.
    """

    def __init__(self, space: dict[str, Any]) -> None:
        from optuna.distributions import BaseDistribution

        flat = flatten_dict(space, prevent_delimiter=False)
        for name, value in flat.items():
            if not isinstance(value, BaseDistribution):
                raise TypeError(
                    "A space must hold either only Optuna's distributions or tune's domains, "
                    f"but {name!r} is {value!r} beside distributions. Put constants into "
                    "param_space."
                )
        self._distributions: dict[str, BaseDistribution] = flat

    def ask(self, study: Study) -> tuple[Trial, dict[str, Any]]:
        trial = study.ask(self._distributions)
        return trial, unflatten_dict(trial.params)

    def params(self, point: Mapping[str, Any], what: str) -> dict[str, Any]:
        params = flatten_dict(dict(point))
        for name in params:
            if name not in self._distributions:
                hint = did_you_mean(name, self._distributions)
                raise ValueError(f"{what} has {name!r}, which is not in the search space.{hint}")
        return self._checked(params, what)

    def evaluated(
        self, point: Mapping[str, Any], what: str
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        flat = flatten_dict(dict(point))
        params = {name: flat[name] for name in self._distributions if name in flat}
        return self._checked(params, what), self._distributions

    def _checked(self, params: dict[str, Any], what: str) -> dict[str, Any]:
        for name, wanted in self._distributions.items():
            if name not in params:
                raise ValueError(
                    f"{what} must have a value for each parameter, but {name!r} is missing."
                )
            if not _contains(wanted, params[name]):
                raise ValueError(
                    f"{what} has {params[name]!r} at {name!r}, which {wanted!r} cannot give."
                )
        return params


class FunctionSpace(OptunaSpace):
    """A function that asks an Optuna trial for each value (``define by run``)."""

    def __init__(self, function: Callable[[Any], dict[str, Any] | None]) -> None:
        self._function = function

    def ask(self, study: Study) -> tuple[Trial, dict[str, Any]]:
        from optuna.trial import TrialState

        trial = study.ask()
        started = time.perf_counter()
        try:
            constants = self._call(trial)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        duration_s = time.perf_counter() - started
        if duration_s > _SLOW_S:
            warn(
                f"The function that defines the search space took {duration_s:.1f} s. It must "
                "only suggest values, and must not train.",
                stacklevel=2,
            )
        return trial, unflatten_dict({**constants, **trial.params})

    def params(self, point: Mapping[str, Any], what: str) -> dict[str, Any]:
        # The parameters are known only when the function runs. The study draws missing ones.
        return flatten_dict(dict(point))

    def evaluated(
        self, point: Mapping[str, Any], what: str
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        from optuna.trial import FixedTrial

        trial = FixedTrial(flatten_dict(dict(point)))
        try:
            self._call(trial)
        except ValueError as error:
            raise ValueError(f"{what} does not fit the search space: {error}") from error
        return trial.params, trial.distributions

    def _call(self, trial: Any) -> dict[str, Any]:
        constants = self._function(trial)
        if constants is None:
            return {}
        if not isinstance(constants, dict):
            raise TypeError(
                "The function that defines the search space must return None, or a dict of "
                f"constants, but returned {constants!r}."
            )
        for key in constants:
            if not isinstance(key, str):
                raise TypeError(
                    "The constants that the function of the search space returns must have strings "
                    f"as keys, but got {key!r}."
                )
        return constants


def as_optuna_space(space: Any) -> OptunaSpace:
    """Returns the search space for a ``space=`` argument.

    Raises:
        TypeError: for a value of another type.
        SearchSpaceError: for a domain that Optuna cannot express.
    """
    if callable(space):
        return FunctionSpace(space)
    if not isinstance(space, dict):
        raise TypeError(
            "space must be a dict of tune's domains or of Optuna's distributions, or a function "
            f"of a trial, but got {space!r}."
        )
    from optuna.distributions import BaseDistribution

    if any(isinstance(value, BaseDistribution) for value in flatten_dict(space).values()):
        return DistributionSpace(space)
    return DomainSpace(space)


def distribution(parameter: Parameter) -> BaseDistribution:
    """Returns Optuna's distribution for a parameter.

    Optuna has no quantum on a log scale. Such values are rounded afterwards.
    """
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    shape = parameter.shape
    if isinstance(shape, Options):
        return CategoricalDistribution(shape.labels())
    assert isinstance(shape, Numbers)  # ConvertedSpace has refused all else
    q = None if shape.is_log else shape.q
    if shape.is_integer:
        low, high = int(shape.lower), int(shape.upper)
        return IntDistribution(low, high, log=shape.is_log, step=int(q or 1))
    return FloatDistribution(shape.lower, shape.upper, log=shape.is_log, step=q)


def convert_search_space(space: dict[str, Any]) -> dict[str, BaseDistribution]:
    """Returns {flat name: Optuna's distribution} for a dict with domains in it.

    Raises:
        SearchSpaceError: for a domain that Optuna cannot express, or a choice with domains inside.
    """
    converted = ConvertedSpace(space, LIBRARY)
    return {each.name: distribution(each) for each in converted.parameters}


def suggested(trial: Any, name: str, wanted: Any) -> Any:
    """Asks an Optuna trial for one value.

    Args:
        trial: The trial of Optuna.
        name: Name of the parameter.
        wanted: Its distribution.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(wanted, CategoricalDistribution):
        return trial.suggest_categorical(name, wanted.choices)
    bounds = {"log": wanted.log, "step": wanted.step}
    if isinstance(wanted, FloatDistribution):
        return trial.suggest_float(name, wanted.low, wanted.high, **bounds)
    return trial.suggest_int(name, wanted.low, wanted.high, **bounds)


def number_of(labels: tuple[Any, ...], value: Any) -> int:
    """Returns the position of a value among labels.

    Args:
        labels: The labels of a choice.
        value: One of them.

    Raises:
        SearchSpaceError: if the value is none of the labels.
    """
    for number, label in enumerate(labels):
        if label is value or label == value:
            return number
    raise SearchSpaceError(f"{value!r} is none of {labels!r}.")


def _contains(wanted: BaseDistribution, value: Any) -> bool:
    try:
        return bool(wanted._contains(wanted.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False
