"""OptunaSearch: configurations from a study of Optuna."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from localtune.error import ExtraMissingError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.result import TRAINING_ITERATION
from localtune.search.optuna.spaces import (
    LIBRARY,
    OptunaSpace,
    as_optuna_space,
    convert_search_space,
)
from localtune.search.pickled_parts import PickledParts
from localtune.search.rng import derive_seed
from localtune.search.space_searcher import SpaceSearcher
from localtune.utils.best import is_number
from localtune.utils.messages import get_logger
from localtune.utils.serialization import dumps_by_value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study

_LOGGER = get_logger(__name__)

_DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {"min": "minimize", "max": "maximize"}


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A configuration that was evaluated elsewhere, with its value or values."""

    point: Mapping[str, Any]
    value: Any
    error: bool = False
    pruned: bool = False
    intermediate_values: list[float] = field(default_factory=list)
    what: str = "The evaluated point"


@old_arguments_of_class("Searcher")
class OptunaSearch(SpaceSearcher):
    """Suggests configurations with a study of Optuna, and reports their results to it.

    Args:
        space: A dict with tune's domains in it (choices may have domains inside); or a dict of
            Optuna's distributions; or a function of an Optuna trial, which calls ``suggest_*``
            and may return a dict of constants. None takes the run's ``param_space``.
        metric: Metric to optimise; a list for several. None takes the one of the run.
        mode: ``"min"`` or ``"max"``; for a list of metrics a list. None takes the one of the run.
        points_to_evaluate: Configurations to begin with, complete, nested or flat (``"a/b"``).
        sampler: A sampler of Optuna; None is ``TPESampler``.
        study_name: Name of the study; ``"optuna"`` if None.
        storage: Storage of Optuna, or its URL. If it holds a study of that name, the study is
            continued. None saves the study with the experiment.
        seed: Seed of the sampler; None takes the one of the run. A given ``sampler`` has its own.
        evaluated_rewards: Known value of the metric for each of ``points_to_evaluate``. The
            study gets these values, and the points are not evaluated.

    Raises:
        ExtraMissingError: if Optuna is not installed.
        ValueError: for a space that Optuna cannot express, or points that do not fit it.
        TypeError: for a space or a sampler of another type.

    Example:
        >>> from localtune.search.sample import uniform
        >>> search = OptunaSearch({"x": uniform(0, 1)}, metric="loss", mode="min", seed=1)
        >>> config = search.suggest("trial_1")
        >>> 0 <= config["x"] <= 1
        True
        >>> search.on_trial_complete("trial_1", {"loss": config["x"]})
    """

    library = LIBRARY
    conditional = True

    convert_search_space: ClassVar[Callable[[dict[str, Any]], dict[str, BaseDistribution]]] = (
        staticmethod(convert_search_space)
    )

    def __init__(
        self,
        space: dict[str, Any] | Callable[[Any], dict[str, Any] | None] | None = None,
        metric: str | list[str] | None = None,
        mode: str | list[str] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        sampler: BaseSampler | None = None,
        study_name: str | None = None,
        storage: BaseStorage | str | None = None,
        seed: int | None = None,
        evaluated_rewards: Sequence[Any] | None = None,
    ) -> None:
        _check_installed()
        _check_sampler(sampler, seed)
        self._asked: OptunaSpace | None = None
        self._sampler = sampler
        self._study_name = study_name or "optuna"
        self._storage = storage
        self._seed = seed
        self._evaluated: list[_Evaluated] = []
        self._study: Study | None = None
        self._numbers: dict[str, int] = {}  # {id of a live trial: its number in the study}
        self._ended = PickledParts()  # the ended trials of the study
        self._unended: list[int] = []  # numbers of trials that were not ended at the last look
        self._looked_at = 0  # so many trials had the study then
        super().__init__(space, metric, mode, points_to_evaluate, evaluated_rewards)  # type: ignore[arg-type]
        if isinstance(mode, (list, tuple)) and "obs" in mode:
            raise ValueError(
                f"Optuna optimises all its metrics, but mode has 'obs': {mode!r}. Leave out the "
                "observed metrics."
            )

    @property
    def has_space(self) -> bool:
        return self._asked is not None

    def set_objective(self, metric: str | None, mode: str | None, seed: int | None = None) -> None:
        super().set_objective(metric, mode, seed)
        if self._seed is None and self._sampler is None:
            self._seed = derive_seed(seed)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self.check_run()
        assert self._asked is not None
        trial, config = self._asked.ask(self._get_study())
        self._numbers[trial_id] = trial.number
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        value = None if self._has_many else self.value_of(result)
        number = self._numbers.get(trial_id)
        step = result.get(TRAINING_ITERATION)
        if number is None or value is None or step is None:
            return
        study = self._get_study()
        storage, study_id = self._place(study)
        storage.set_trial_intermediate_value(
            storage.get_trial_id_from_study_id_trial_number(study_id, number), step, float(value)
        )

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        from optuna.trial import TrialState

        number = self._numbers.pop(trial_id, None)
        if number is None:
            _LOGGER.warning(
                "The trial %s has ended, but Optuna does not wait for it: the study already has "
                "its result, or did not suggest it.",
                trial_id,
            )
            return
        study = self._get_study()
        if result is None:
            state = TrialState.FAIL if error else TrialState.PRUNED
            study.tell(number, state=state, skip_if_finished=True)
            return
        values = [result.get(metric) for metric in self._metrics]
        if all(is_number(value) for value in values):
            study.tell(number, [float(value) for value in values], skip_if_finished=True)  # type: ignore[arg-type]
            return
        told = ", ".join(
            f"{metric}={value!r}" for metric, value in zip(self._metrics, values, strict=True)
        )
        _LOGGER.warning("The trial %s counts as failed for Optuna: %s.", trial_id, told)
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: Any,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        point = _Evaluated(parameters, value, error, pruned, list(intermediate_values or ()))
        if self._asked is not None:
            self._asked.evaluated(parameters, point.what)
        if self._study is not None:
            self._add(self._study, point)
        else:
            self._evaluated.append(point)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            # A function may refer to objects that cannot be pickled. The user gives it again.
            "space": None if callable(self._given_space) else self._given_space,
            "metric": self._metric,
            "mode": self._mode,
            "seed": self._seed,
            "evaluated": self._evaluated,
            "numbers": dict(self._numbers),
            "has_study": self._study is not None,
        }
        if self._study is not None:
            state["sampler"] = dumps_by_value(self._study.sampler)
            if self._is_in_memory:
                storage, study_id = self._place(self._study)
                state["unended"] = self._take_ended(self._study)
                state["ended"] = self._ended
                state["attributes"] = storage.get_study_system_attrs(study_id)
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        if not self.has_space and state.get("space") is not None:
            self._take_space(state["space"])
        self._metric = state["metric"]
        self._mode = state["mode"]
        self._seed = state["seed"]
        self._evaluated = state["evaluated"]
        self._numbers = dict(state["numbers"])
        self._study = None
        self._ended, self._unended, self._looked_at = PickledParts(), [], 0
        if not state["has_study"]:
            return
        self._sampler = pickle.loads(state["sampler"])
        self._study = self._make_study()
        if self._is_in_memory and not self._study.get_trials(deepcopy=False):
            storage, study_id = self._place(self._study)
            # A database of schema 4 has all trials in one list. Those that have ended are taken
            # in at the next look.
            self._ended = state.get("ended", self._ended)
            others = state["trials"] if "trials" in state else state["unended"]
            trials = [pickle.loads(data) for data in (*self._ended, *others)]
            for trial in sorted(trials, key=lambda each: each.number):
                storage.create_new_trial(study_id, template_trial=trial)
            self._looked_at = len(trials)
            self._unended = [each.number for each in trials[len(self._ended) :]]
            for key, value in state["attributes"].items():
                storage.set_study_system_attr(study_id, key, value)

    # -- the space -------------------------------------------------------------------------------

    def _use_space(self, space: Any) -> None:
        self._asked = as_optuna_space(space)
        for number, point in enumerate(self._points):
            self._asked.params(point, f"points_to_evaluate[{number}]")
        for evaluated in self._evaluated:
            self._asked.evaluated(evaluated.point, evaluated.what)

    # -- the study -------------------------------------------------------------------------------

    @property
    def _metrics(self) -> list[str]:
        return [self._metric] if isinstance(self._metric, str) else list(self._metric or ())

    @property
    def _has_many(self) -> bool:
        return not isinstance(self._metric, str)

    @property
    def _is_in_memory(self) -> bool:
        from optuna.storages import InMemoryStorage

        return self._storage is None or isinstance(self._storage, InMemoryStorage)

    def _get_study(self) -> Study:
        """Returns the study, which the first call makes: the objective is not known before."""
        if self._study is None:
            self._study = self._make_study()
            self._begin(self._study)
        return self._study

    def _make_study(self) -> Study:
        import optuna

        modes = [self._mode] if isinstance(self._mode, str) else self._mode or []
        sampler = self._sampler
        if sampler is None:
            sampler = optuna.samplers.TPESampler(seed=derive_seed(self._seed) % 2**32)
        return optuna.create_study(
            storage=self._storage,
            sampler=sampler,
            pruner=optuna.pruners.NopPruner(),
            study_name=self._study_name,
            directions=[_DIRECTIONS[mode] for mode in modes],
            load_if_exists=True,
        )

    def _begin(self, study: Study) -> None:
        """Adds the evaluated points and the points to evaluate to a new study."""
        assert self._asked is not None
        for evaluated in self._evaluated:
            self._add(study, evaluated)
        self._evaluated = []
        for number, point in enumerate(self._points):
            what = f"points_to_evaluate[{number}]"
            if self._rewards:
                self._add(study, _Evaluated(point, self._rewards[number], what=what))
            else:
                study.enqueue_trial(self._asked.params(point, what))

    def _add(self, study: Study, evaluated: _Evaluated) -> None:
        from optuna.trial import TrialState, create_trial

        assert self._asked is not None
        params, distributions = self._asked.evaluated(evaluated.point, evaluated.what)
        values = evaluated.value if self._has_many else [evaluated.value]
        is_known = not evaluated.error and all(is_number(value) for value in values)
        state = TrialState.COMPLETE if is_known else TrialState.FAIL
        if evaluated.pruned:
            state = TrialState.PRUNED
        study.add_trial(
            create_trial(
                state=state,
                values=[float(value) for value in values] if is_known else None,
                params=params,
                distributions=distributions,
                intermediate_values=dict(enumerate(evaluated.intermediate_values, start=1)),
            )
        )

    def _place(self, study: Study) -> tuple[BaseStorage, int]:
        """Returns (storage, id) of a study, for operations of the storage."""
        storage = study._storage
        return storage, storage.get_study_id_from_name(study.study_name)

    def _take_ended(self, study: Study) -> list[bytes]:
        """Takes in the trials that have ended since the last call.

        Returns:
            The other trials of the study, pickled.
        """
        trials = study.get_trials(deepcopy=False)
        numbers = [*self._unended, *range(self._looked_at, len(trials))]
        self._unended, self._looked_at = [], len(trials)
        unended = []
        for number in numbers:
            data = pickle.dumps(trials[number], pickle.HIGHEST_PROTOCOL)
            if trials[number].state.is_finished():
                self._ended.append(data)
            else:
                self._unended.append(number)
                unended.append(data)
        return unended


def _check_installed() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ExtraMissingError("optuna", "optuna", "OptunaSearch") from error


def _check_sampler(sampler: Any, seed: Any) -> None:
    if seed is not None:
        derive_seed(seed)
    if sampler is None:
        return
    from optuna.samplers import BaseSampler

    if not isinstance(sampler, BaseSampler):
        hint = " Pass an instance, not the class." if isinstance(sampler, type) else ""
        raise TypeError(f"sampler must be a sampler of Optuna, but got {sampler!r}.{hint}")
    if seed is not None:
        _LOGGER.warning("seed=%r is ignored: the given sampler has its own.", seed)
