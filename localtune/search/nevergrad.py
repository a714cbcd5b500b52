"""NevergradSearch: gradient-free optimisers of the library Nevergrad."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.native import NativeSpace, known_part, plain
from localtune.search.shapes import Normals, Options

__all__ = ["NevergradSearch"]

_LIBRARY = "Nevergrad"
_DEFAULT_BUDGET = 100  # suggestions, if nobody says how many there will be
_DEFAULT_WORKERS = 4


class NevergradSearch(LibrarySearcher):
    """Suggests configurations with an optimiser of Nevergrad. Choices may have domains inside.

    Trials that fail are not told to the optimiser: it has no notion of them.

    Args:
        optimizer: Class of ``nevergrad.optimizers``, its name, or an optimiser made already,
            which has its own space; None is ``NGOpt``.
        optimizer_kwargs: Arguments of the class: ``budget`` (how many suggestions are planned
            for; the run's ``num_samples`` by default) and ``num_workers`` (how many trials run
            side by side; 4 by default, as 1 makes ``NGOpt`` choose what cannot be used).
        space: Dict with domains, or a parametrization of ``nevergrad.p``; for an optimiser made
            already over one array or over positional arguments, the names of its values. None
            takes the run's ``param_space``.
        metric: Metric to optimise; None takes that of the run.
        mode: ``"min"`` or ``"max"``; None takes that of the run.
        points_to_evaluate: Configurations to begin with, complete.
        evaluated_rewards: What the metric came to for each of ``points_to_evaluate``; they are
            told to the library and not evaluated.

    Raises:
        ExtraMissingError: if Nevergrad is not installed.
        SearchSpaceError: for a space that Nevergrad cannot express.
        ValueError: for arguments that do not go together, points that do not fit the space, or
            an optimiser that waits for each value in a thread of its own, as ``Cobyla``: a trial
            that fails would stop it, and it cannot be saved.

    Algorithm: ``NGOpt`` chooses one by the space and the budget: Meunier et al. 2022, "Black-Box
    Optimization Revisited: Improving Algorithm Selection Wizards Through Massive Benchmarking",
    section 5.

    Example:
        >>> from localtune.search.sample import randint, uniform
        >>> space = {"x": uniform(0, 1), "depth": randint(1, 9)}
        >>> searcher = NevergradSearch("OnePlusOne", space=space, metric="loss", mode="min")
        >>> sorted(searcher.suggest("a"))
        ['depth', 'x']
    """

    library = _LIBRARY
    conditional = True
    normal = True

    def __init__(
        self,
        optimizer: Any = None,
        optimizer_kwargs: Mapping[str, Any] | None = None,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        library = _load()
        self._kwargs = dict(optimizer_kwargs or {})
        self._n_samples: int | None = None
        self._optimizer: Any = None
        self._model: Any = None
        self._candidates: dict[str, Any] = {}  # {id of a live trial: what the optimiser asked for}
        if isinstance(optimizer, library.optimizers.base.Optimizer):
            if self._kwargs:
                raise ValueError(
                    "optimizer_kwargs go with a class of Nevergrad, but optimizer is made already: "
                    f"{optimizer!r}. Give them to it when it is made."
                )
            self._model = optimizer
            _refuse_waiting(optimizer)
            space = _NevergradSpace(optimizer.parametrization, space)
        else:
            self._optimizer = _optimizer_class(optimizer)
            _refuse_waiting(self._optimizer)
        super().__init__(space, metric, mode, points_to_evaluate, None, evaluated_rewards)

    @staticmethod
    def convert_search_space(spec: dict[str, Any]) -> Any:
        """Nevergrad's parametrization of a search space: a ``nevergrad.p.Dict`` by flat names.

        A choice stands there as the number of its option; what depends on it is always there.
        """
        return _parametrization(ConvertedSpace(spec, _LIBRARY, conditional=True, normal=True))

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        self._n_samples = spec.get("num_samples")
        return super().set_search_properties(metric, mode, config, **spec)

    def _use_space(self, space: Any) -> None:
        if isinstance(space, _load().p.Parameter):
            space = _NevergradSpace(space, None)
        if isinstance(space, _NevergradSpace):
            self._space = space
            self.point_values()
            self._check_evaluated()
        else:
            super()._use_space(space)

    def _begin(self) -> None:
        if self._model is not None:
            return
        import numpy

        space = self._space
        assert space is not None
        if isinstance(space, _NevergradSpace):
            parametrization = space.parametrization.copy()
        else:
            parametrization = _parametrization(space)
        seed = random.Random(self._seed).getrandbits(32)
        parametrization.random_state = numpy.random.RandomState(seed)
        budget = self._n_samples if (self._n_samples or 0) > 0 else _DEFAULT_BUDGET
        kwargs = {"budget": budget, "num_workers": _DEFAULT_WORKERS, **self._kwargs}
        with _quiet():
            model = self._optimizer(parametrization=parametrization, **kwargs)
        _refuse_waiting(model)
        self._model = model

    def _ask(self, trial_id: str) -> dict[str, Any]:
        with _quiet():
            candidate = self._model.ask()
        self._candidates[trial_id] = candidate
        if isinstance(self._space, _NevergradSpace):
            return {"": candidate.value}
        return dict(candidate.value)

    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        whole = self._model.parametrization
        # What depends on a choice that was not made keeps its default.
        native = isinstance(self._space, _NevergradSpace)
        value = values[""] if native else {**whole.value, **values}
        self._candidates[trial_id] = whole.spawn_child(new_value=value)

    def _tell(self, trial_id: str, value: float | None) -> None:
        candidate = self._candidates.pop(trial_id)
        if value is not None:
            with _quiet():
                self._model.tell(candidate, self._loss(value))


class _NevergradSpace(NativeSpace):
    """A parametrization of Nevergrad; a configuration is {"": its value} for the library.

    Args:
        parametrization: Any of ``nevergrad.p``.
        names: Names of its values, if it has none itself.
    """

    def __init__(self, parametrization: Any, names: Any) -> None:
        super().__init__(_LIBRARY)
        self.parametrization = parametrization
        self.names = _checked_names(parametrization, names)

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        value = values[""]
        if isinstance(self.parametrization, _load().p.Instrumentation):
            positional, value = value
            if self.names is not None:
                value = dict(zip(self.names, positional, strict=True))
        elif self.names is not None:
            value = dict(zip(self.names, value, strict=True))
        return dict(plain(value))

    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        known = set(self.config({"": self.parametrization.value}))
        given = known_part(config, known, what, _LIBRARY, all_known)
        missing = sorted(known - set(given))
        if missing:
            raise ValueError(f"{what} must have a value for each name, but {missing} is missing.")
        ordered = [given[name] for name in self.names or ()]
        value: Any = given
        p = _load().p
        if isinstance(self.parametrization, p.Instrumentation):
            value = (tuple(ordered), {}) if self.names is not None else ((), value)
        elif self.names is not None:
            value = tuple(ordered) if isinstance(self.parametrization, p.Tuple) else ordered
        try:
            return {"": self.parametrization.spawn_child(new_value=value).value}
        except Exception as error:
            raise ValueError(
                f"{what} is {given!r}, which {_LIBRARY} does not take: {error}"
            ) from error


def _checked_names(parametrization: Any, names: Any) -> list[str] | None:
    """Names for the values of a parametrization; None if it has its own."""
    p = _load().p
    value = parametrization.value
    if isinstance(parametrization, p.Instrumentation):
        positional, by_name = value
        if positional and by_name:
            raise ValueError(
                "A parametrization must have positional or keyword arguments, not both, but got "
                f"{parametrization!r}."
            )
        count = 0 if by_name else len(positional)
    elif isinstance(value, dict):
        count = 0
    else:
        count = len(value) if hasattr(value, "__len__") else 1
    if count and (names is None or isinstance(names, Mapping) or len(names) != count):
        raise ValueError(
            f"space must be a list of {count} names, for the values of {parametrization!r}, but "
            f"got {names!r}. Or use a nevergrad.p.Dict, which has names."
        )
    if not count and names is not None:
        raise ValueError(
            f"space must be None, as the optimizer has names of its own, but got {names!r}."
        )
    return list(names) if count else None


def _parametrization(space: ConvertedSpace) -> Any:
    p = _load().p
    return p.Dict(**{parameter.name: _variable(parameter) for parameter in space.parameters})


def _variable(parameter: Parameter) -> Any:
    """Nevergrad's variable for one parameter; quanta are left to the rounding."""
    p = _load().p
    shape = parameter.shape
    if isinstance(shape, Options):
        # Nevergrad cannot choose from one.
        return p.Choice(list(range(len(shape.values)))) if len(shape.values) > 1 else 0
    if isinstance(shape, Normals):
        return p.Scalar(init=shape.mean).set_mutation(sigma=shape.sd)
    if shape.lower == shape.upper:
        return shape.lower
    variable = (p.Log if shape.is_log else p.Scalar)(lower=shape.lower, upper=shape.upper)
    return variable.set_integer_casting() if shape.is_integer else variable


def _optimizer_class(optimizer: Any) -> Any:
    library = _load()
    if optimizer is None:
        return library.optimizers.NGOpt
    if isinstance(optimizer, str):
        if optimizer not in library.optimizers.registry:
            raise ValueError(
                f"optimizer must be one of nevergrad.optimizers.registry, but got {optimizer!r}."
            )
        return library.optimizers.registry[optimizer]
    if not callable(optimizer):
        raise TypeError(
            "optimizer must be a class of nevergrad.optimizers, its name, or an optimiser, but "
            f"got {optimizer!r}."
        )
    return optimizer


def _refuse_waiting(optimizer: Any) -> None:
    """Raises ValueError for an optimiser that can only go on when it was told the last value."""
    if getattr(optimizer, "recast", False) or getattr(optimizer, "no_parallelization", False):
        raise ValueError(
            f"optimizer must not wait for each value before it goes on, but {optimizer.name} does. "
            "Use another one, as OnePlusOne; for one that chooses by itself, as NGOpt, "
            "num_workers must be at least 2."
        )
    base = _load().optimizers.base.Optimizer
    if isinstance(optimizer, base):
        # Some choose another one by space and budget, or go before one.
        for inner in (getattr(optimizer, "optim", None), getattr(optimizer, "_optim", None)):
            if isinstance(inner, base):
                _refuse_waiting(inner)


class _quiet(warnings.catch_warnings):
    """Keeps back what libraries of Nevergrad say about plots that nobody asked for."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message=".*matplotlib", category=UserWarning)


def _load() -> Any:
    try:
        import nevergrad
    except ImportError as error:
        raise ExtraMissingError("nevergrad", "nevergrad", "NevergradSearch") from error
    return nevergrad
