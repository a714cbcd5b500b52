"""HyperOptSearch: tree-structured Parzen estimators of the library HyperOpt."""

from __future__ import annotations

import math
import pickle
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.containers import CONTAINERS, children, rebuilt
from localtune.search.convert import ConvertedSpace, Parameter, has_variables
from localtune.search.library_searcher import LibrarySearcher
from localtune.search.native import NativeSpace, known_part, plain
from localtune.search.pickled_parts import PickledParts
from localtune.search.shapes import Normals, Numbers, Options
from localtune.search.variables import as_domain

__all__ = ["HyperOptSearch"]

_LIBRARY = "HyperOpt"


@old_arguments_of_class("Searcher")
class HyperOptSearch(LibrarySearcher):
    """Suggests configurations with the TPE algorithm of HyperOpt. Choices may have domains inside.

    Args:
        space: Dict with domains, with expressions of ``hyperopt.hp``, or with both; None takes
            the run's ``param_space``.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete. For a space with ``hp``
            expressions they are {label: value}, where the value of a choice is the number of its
            option. The label of a domain is its key, or path of keys: ``"net/units"``.
        n_initial_points: Number of random trials before TPE begins.
        random_state_seed: Seed; None takes the one of the run, if it has one.
        gamma: Share of the trials that counts as good; above 0 and below 1.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            library gets these values, and the points are not evaluated.

    Raises:
        ExtraMissingError: if HyperOpt is not installed.
        SearchSpaceError: for a space that HyperOpt cannot express.
        ValueError: for an argument out of its range, or points that do not fit the space.

    Algorithm: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", section 4.

    Example:
        >>> from localtune.search.sample import choice, uniform
        >>> space = {"x": uniform(0, 1), "net": choice(["cnn", {"units": uniform(8, 9)}])}
        >>> searcher = HyperOptSearch(space, "loss", "min", random_state_seed=1)
        >>> sorted(searcher.suggest("a"))
        ['net', 'x']
    """

    library = _LIBRARY
    conditional = True
    normal = True

    def __init__(
        self,
        space: dict[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        n_initial_points: int = 20,
        random_state_seed: int | None = None,
        gamma: float = 0.25,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        _load()
        if n_initial_points < 1:
            raise ValueError(f"n_initial_points must be at least 1, but got {n_initial_points!r}.")
        if not 0 < gamma < 1:
            raise ValueError(f"gamma must be above 0 and below 1, but got {gamma!r}.")
        super().__init__(
            space, metric, mode, points_to_evaluate, random_state_seed, evaluated_rewards
        )
        self._n_initial_points = n_initial_points
        self._gamma = gamma
        self._domain: Any = None  # HyperOpt's form of the space, made when needed
        self._rng = random.Random()
        self._trials: Any = None  # HyperOpt's record of all trials
        self._numbers: dict[str, int] = {}  # {id of a live trial: its number in that record}
        self._ended = PickledParts()  # ended trials of the record
        self._others: list[Any] = []  # the other ones

    @staticmethod
    def convert_search_space(spec: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        """Returns a search space with ``hyperopt.hp`` expressions in place of domains.

        Args:
            spec: Dict with domains.
            prefix: Prefix of all labels.
        """
        _load()
        parameters = {each.name: each for each in _converted(spec).parameters}
        return dict(_nested_expression(spec, "", parameters, prefix))

    def get_state(self) -> dict[str, Any]:
        if self._trials is not None:
            self._take_ended()
        return {
            key: value for key, value in self.__dict__.items() if key not in ("_domain", "_trials")
        }

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._domain = None
        if "_trials" in state:  # An earlier release saved HyperOpt's record itself.
            self._ended = PickledParts()
            self._others = [] if self._trials is None else list(self._trials._dynamic_trials)
            return
        if self._has_begun:
            documents = [*map(pickle.loads, self._ended), *self._others]
            documents.sort(key=lambda each: each["tid"])
            self._trials = _load().Trials()
            self._trials.new_trial_ids(len(documents))
            self._trials.insert_trial_docs(documents)
            self._trials.refresh()
            documents = self._trials._dynamic_trials
            self._others = [each for each in documents if not _has_ended(each)]

    def _take_ended(self) -> None:
        """Pickles the trials that have ended since the last call. They do not change any more."""
        others = []
        for document in self._others:
            if _has_ended(document):
                self._ended.append(pickle.dumps(document, pickle.HIGHEST_PROTOCOL))
            else:
                others.append(document)
        self._others = others

    def _use_space(self, space: dict[str, Any]) -> None:
        if _is_native(space):
            self._space = _HyperOptSpace(_all_native(space))
            self.point_values()
            self._check_evaluated()
        else:
            super()._use_space(space)

    def _begin(self) -> None:
        self._trials = _load().Trials()
        self._rng = random.Random(self._seed)

    def _ask(self, trial_id: str) -> dict[str, Any]:
        from hyperopt import tpe

        with warnings.catch_warnings():
            # HyperOpt 0.3 uses features that NumPy 2.5 deprecates.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="hyperopt")
            (document,) = tpe.suggest(
                self._trials.new_trial_ids(1),
                self._library_domain(),
                self._trials,
                self._rng.randrange(2**31 - 1),
                n_startup_jobs=self._n_initial_points,
                gamma=self._gamma,
                verbose=False,
            )
        self._add(trial_id, document)
        drawn = document["misc"]["vals"]
        return {label: values[0] for label, values in drawn.items() if len(values)}

    def _attach(self, trial_id: str, values: dict[str, Any]) -> None:
        domain = self._library_domain()
        number = self._trials.new_trial_ids(1)[0]
        labels = list(domain.params)
        misc = {
            "tid": number,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {label: [number] if label in values else [] for label in labels},
            "vals": {label: [values[label]] if label in values else [] for label in labels},
        }
        (document,) = self._trials.new_trial_docs([number], [None], [domain.new_result()], [misc])
        self._add(trial_id, document)

    def _add(self, trial_id: str, document: Any) -> None:
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        self._others.append(self._trials._dynamic_trials[-1])
        self._numbers[trial_id] = document["tid"]

    def _tell(self, trial_id: str, value: float | None) -> None:
        from hyperopt import base

        number = self._numbers.pop(trial_id)
        documents = reversed(self._trials._dynamic_trials)
        document = next(each for each in documents if each["tid"] == number)
        if value is None:
            # TPE does not learn from trials in this state.
            document["state"] = base.JOB_STATE_ERROR
            document["result"] = {"status": base.STATUS_FAIL}
        else:
            document["state"] = base.JOB_STATE_DONE
            document["result"] = {"status": base.STATUS_OK, "loss": self._loss(value)}
        self._trials.refresh()

    def _library_domain(self) -> Any:
        if self._domain is None:
            from hyperopt import base

            space = self._space
            assert space is not None
            if isinstance(space, _HyperOptSpace):
                expression = space.expression
            else:
                expression = _flat_expression(space)
            # HyperOpt never calls the objective, so it is None.
            self._domain = base.Domain(None, expression, pass_expr_memo_ctrl=False)
        return self._domain


class _HyperOptSpace(NativeSpace):
    """A search space of ``hyperopt.hp`` expressions."""

    def __init__(self, expression: dict[str, Any]) -> None:
        super().__init__(_LIBRARY)
        self.expression = expression

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(plain(_load().space_eval(self.expression, dict(values))))

    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        from hyperopt.pyll import as_apply
        from hyperopt.pyll_utils import expr_to_config

        found: dict[str, Any] = {}  # {label: its conditions, of which one must hold}
        expr_to_config(as_apply(self.expression), (), found)
        values = known_part(config, set(found), what, _LIBRARY, all_known)
        for label, about in found.items():
            if label not in values and any(
                all(values.get(each.name) == each.val for each in condition)
                for condition in about["conditions"]
            ):
                raise ValueError(
                    f"{what} must have a value for each label, but {label!r} is missing."
                )
        return values


def _converted(spec: dict[str, Any]) -> ConvertedSpace:
    return ConvertedSpace(spec, _LIBRARY, conditional=True, normal=True)


def _is_native(space: Any) -> bool:
    """Returns whether a search space holds expressions of ``hp``."""
    _load()
    from hyperopt.pyll import Apply

    if isinstance(space, CONTAINERS):
        return any(_is_native(value) for _, value in children(space))
    return isinstance(space, Apply)


def _all_native(space: dict[str, Any]) -> dict[str, Any]:
    """Returns a space in which ``hp`` expressions replace all domains."""
    from hyperopt.pyll import Apply, as_apply, dfs
    from hyperopt.pyll.base import Literal

    expression: dict[str, Any] = HyperOptSearch.convert_search_space(space)
    # An hp.choice holds its options as literals in a graph of expressions.
    labels: set[str] = set()
    for node in dfs(as_apply(expression)):
        for constant in [each for each in node.inputs() if isinstance(each, Literal)]:
            if as_domain(constant.obj, ()) is None:
                continue
            label = f"{node.name}_{len(labels)}"
            labels.add(label)
            converted = HyperOptSearch.convert_search_space({label: constant.obj})[label]
            if isinstance(converted, Apply):
                node.replace_input(constant, converted)
    return expression


def _flat_expression(space: ConvertedSpace) -> dict[str, Any]:
    """Returns all parameters by name; those that depend on a choice are inside its options."""

    def inside(condition: tuple[str, int] | None) -> dict[str, Any]:
        return {
            parameter.name: _draw(parameter, parameter.name, options_of(parameter))
            for parameter in space.parameters
            if parameter.condition == condition
        }

    def options_of(parameter: Parameter) -> list[Any]:
        count = len(parameter.shape.values) if isinstance(parameter.shape, Options) else 0
        return [inside((parameter.name, number)) or number for number in range(count)]

    return inside(None)


def _nested_expression(
    part: Any, name: str, parameters: Mapping[str, Parameter], prefix: str
) -> Any:
    """Returns a part of a search space with expressions in place of domains."""
    if as_domain(part, ()) is not None:
        parameter = parameters.get(name)
        if parameter is None:
            return part  # a value that is computed after the draws
        options = parameter.shape.values if isinstance(parameter.shape, Options) else ()
        return _draw(
            parameter,
            f"{prefix}{name}",
            [
                _nested_expression(option, f"{name}:{number}", parameters, prefix)
                for number, option in enumerate(options)
            ],
        )
    if not isinstance(part, CONTAINERS) or not has_variables(part):
        return part
    inner = [
        (key, _nested_expression(value, f"{name}/{key}" if name else str(key), parameters, prefix))
        for key, value in children(part)
    ]
    return rebuilt(part, inner)


def _draw(parameter: Parameter, label: str, options: list[Any]) -> Any:
    """Returns HyperOpt's expression for one parameter."""
    from hyperopt import hp
    from hyperopt.pyll import scope

    shape = parameter.shape
    if isinstance(shape, Options):
        return hp.choice(label, options)
    if isinstance(shape, Normals):
        if shape.q is None:
            return hp.normal(label, shape.mean, shape.sd)
        return hp.qnormal(label, shape.mean, shape.sd, shape.q)
    lower, upper = _bounds(shape)
    if shape.is_log:
        lower, upper = math.log(lower), math.log(upper)
    step = shape.q or (1 if shape.is_integer else None)
    if step is None:
        return (hp.loguniform if shape.is_log else hp.uniform)(label, lower, upper)
    drawn = (hp.qloguniform if shape.is_log else hp.quniform)(label, lower, upper, step)
    # hp.randint ignores the order of numbers.
    return scope.int(drawn) if shape.is_integer else drawn


def _bounds(shape: Numbers) -> tuple[float, float]:
    """Returns the range of draws before rounding.

    It is half a step wider on each side, so that both ends are as likely as other values.
    """
    step = shape.q or (1 if shape.is_integer else 0)
    # Exactly half a step could round to a value beyond the bound.
    half = step * 0.4999999
    return shape.lower - half, shape.upper + half


def _has_ended(document: Any) -> bool:
    from hyperopt import base

    return document["state"] in (base.JOB_STATE_DONE, base.JOB_STATE_ERROR)


def _load() -> Any:
    try:
        import hyperopt
    except ImportError as error:
        raise ExtraMissingError("hyperopt", "hyperopt", "HyperOptSearch") from error
    return hyperopt
