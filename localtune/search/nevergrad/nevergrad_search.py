"""NevergradSearch: gradient-free optimisers of the library Nevergrad."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.native import NativeSpace, known_part, plain
from localtune.search.shapes import Normals, Options

__all__ = ["NevergradSearch"]

_LIBRARY = "Nevergrad"
_DEFAULT_BUDGET = 100  # number of suggestions, if neither the user nor the run gives one
_DEFAULT_WORKERS = 4


@old_arguments_of_class("Searcher")
class NevergradSearch(LibrarySearcher):
    """Suggests configurations with an optimiser of Nevergrad. Choices may have domains inside.

    The optimiser does not learn of failed trials, since Nevergrad has no way to tell it.

    Args:
        optimizer: Class of ``nevergrad.optimizers``, its name, or an optimiser object, which has
            its own space; None is ``NGOpt``.
        optimizer_kwargs: Arguments of the class: ``budget`` (planned number of suggestions; by
            default the run's ``num_samples``) and ``num_workers`` (number of concurrent trials; 4
            by default, because with 1 ``NGOpt`` may choose an optimiser that cannot be used).
        space: Dict with domains, or a parametrization of ``nevergrad.p``. For an optimiser
            object over one array or over positional arguments, the names of its values. None
            takes the run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            library gets these values, and the points are not evaluated.

    Raises:
        ExtraMissingError: if Nevergrad is not installed.
        SearchSpaceError: for a space that Nevergrad cannot express.
        ValueError: for contradicting arguments, points that do not fit the space, or an
            optimiser such as ``Cobyla``, which waits for each value in a thread of its own. A
            failed trial would block it, and its state cannot be saved.

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
        self._candidates: dict[str, Any] = {}  # {id of a live trial: its candidate}
        if isinstance(optimizer, library.optimizers.base.Optimizer):
            if self._kwargs:
                raise ValueError(
                    "optimizer_kwargs need a class of Nevergrad as optimizer, but got the object "
                    f"{optimizer!r}. Give the arguments to its constructor."
                )
            self._model = optimizer
            _check_concurrency(optimizer)
            space = _NevergradSpace(optimizer.parametrization, space)
        else:
            self._optimizer = _optimizer_class(optimizer)
            _check_concurrency(self._optimizer)
        super().__init__(space, metric, mode, points_to_evaluate, None, evaluated_rewards)

    @staticmethod
    def convert_search_space(spec: dict[str, Any]) -> Any:
        """Returns Nevergrad's parametrization of a search space: a ``p.Dict`` with flat names.

        A choice is the number of its option. Parameters that depend on a choice always exist.
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
        _check_concurrency(model)
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
        # Parameters whose condition does not hold keep their default.
        native = isinstance(self._space, _NevergradSpace)
        value = values[""] if native else {**whole.value, **values}
        self._candidates[trial_id] = whole.spawn_child(new_value=value)

    def _tell(self, trial_id: str, value: float | None) -> None:
        candidate = self._candidates.pop(trial_id)
        if value is not None:
            with _quiet():
                self._model.tell(candidate, self._loss(value))


class _NevergradSpace(NativeSpace):
    """A parametrization of Nevergrad; the library's values are {"": value of the whole}.

    Args:
        parametrization: A parametrization of ``nevergrad.p``.
        names: Names of its values, if the parametrization has none.
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
    """Returns the names for the values of a parametrization; None if it has its own names."""
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
            f"got {names!r}. Give the names, or use a nevergrad.p.Dict, which has names."
        )
    if not count and names is not None:
        raise ValueError(
            f"space must be None, because the optimizer has its own names, but got {names!r}."
        )
    return list(names) if count else None


def _parametrization(space: ConvertedSpace) -> Any:
    p = _load().p
    return p.Dict(**{parameter.name: _variable(parameter) for parameter in space.parameters})


def _variable(parameter: Parameter) -> Any:
    """Returns Nevergrad's variable for one parameter, without its quantum."""
    p = _load().p
    shape = parameter.shape
    if isinstance(shape, Options):
        # Nevergrad refuses a choice of one option.
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


def _check_concurrency(optimizer: Any) -> None:
    """Raises ValueError for an optimiser that needs each value before its next suggestion."""
    if getattr(optimizer, "recast", False) or getattr(optimizer, "no_parallelization", False):
        raise ValueError(
            f"optimizer must not wait for each value before it goes on, but {optimizer.name} does. "
            "Use another one, such as OnePlusOne. With NGOpt and others that choose an optimizer, "
            "num_workers must be at least 2."
        )
    base = _load().optimizers.base.Optimizer
    if isinstance(optimizer, base):
        # Some optimisers delegate to another one.
        for inner in (getattr(optimizer, "optim", None), getattr(optimizer, "_optim", None)):
            if isinstance(inner, base):
                _check_concurrency(inner)


class _quiet(warnings.catch_warnings):
    """Suppresses warnings of Nevergrad's libraries about a missing matplotlib."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message=".*matplotlib", category=UserWarning)


def _load() -> Any:
    try:
        import nevergrad
    except ImportError as error:
        raise ExtraMissingError("nevergrad", "nevergrad", "NevergradSearch") from error
    return nevergrad
