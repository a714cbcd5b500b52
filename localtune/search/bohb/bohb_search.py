"""TuneBOHB: the model of BOHB, which learns from results on several budgets.

HyperBandForBOHB reports the budget of each result, and which trials are paused::

    on_trial_result(trial, {..., "hyperband_info": {"budget": 9, "reached": True}})
      -> observation (budget 9, values of the trial, loss)
    suggest()
      in a third of the cases, or while no budget has enough observations: at random
      otherwise: from the observations on the largest budget with enough of them,
            the good ones -> density l,  the others -> density g,  the draw from l with the best l/g

The densities are those of Optuna's multivariate TPE sampler.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.search.convert import ConvertedSpace, Parameter
from localtune.search.shapes import Options
from localtune.search.space_searcher import SpaceSearcher
from localtune.utils.text import did_you_mean

__all__ = ["TuneBOHB"]

_DEFAULTS: dict[str, float | None] = {
    "min_points_in_model": None,
    "top_n_percent": 15,
    "num_samples": 64,
    "random_fraction": 1 / 3,
}
# Further options of hpbandster's model.
_UNSUPPORTED = ("bandwidth_factor", "min_bandwidth")

_INFO = "hyperband_info"
# Budget of results for which the scheduler has reported none.
_NO_BUDGET = 0.0


@old_arguments_of_class("Searcher")
class TuneBOHB(SpaceSearcher):
    """Suggests configurations with the model of BOHB. Use it with ``HyperBandForBOHB``.

    After Falkner et al., "BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
    ICML 2018, section 4. Needs the extra ``optuna``. With another scheduler it learns from the
    last result of each trial.

    Args:
        space: Dict with domains in it; None takes the ``param_space`` of the run.
        bohb_config: Options of the model: ``min_points_in_model`` (least number of observations
            that count as good; by default one more than the number of parameters),
            ``top_n_percent`` (percentage of the observations that count as good; 15),
            ``num_samples`` (number of draws of which the best is taken; 64), and
            ``random_fraction`` (share of random suggestions; 1/3).
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        points_to_evaluate: Configurations to try first, each complete.
        seed: Seed of the suggestions; None takes the seed of the run.
        max_concurrent: Limit of trials that have not ended and are not paused; 0 for none.

    Raises:
        ExtraMissingError: if Optuna is not installed.
        ValueError: for an argument out of its range, or an unknown key of ``bohb_config``.
        SearchSpaceError: for a space that the model cannot express.

    Example:
        >>> from localtune.search.sample import choice, uniform
        >>> space = {"lr": uniform(0, 1), "act": choice(["relu", "tanh"])}
        >>> searcher = TuneBOHB(space, metric="loss", mode="min", seed=1)
        >>> sorted(searcher.suggest("a"))
        ['act', 'lr']
    """

    library = "TuneBOHB"
    conditional = True

    def __init__(
        self,
        space: dict[str, Any] | None = None,
        bohb_config: Mapping[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[dict[str, Any]] | None = None,
        seed: int | None = None,
        max_concurrent: int = 0,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        for name, value in (("metric", metric), ("mode", mode)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"TuneBOHB optimises one metric, but got {name}={value!r}.")
        if isinstance(max_concurrent, bool) or not isinstance(max_concurrent, int):
            raise TypeError(f"max_concurrent must be an int, but got {max_concurrent!r}.")
        if max_concurrent < 0:
            raise ValueError(
                f"max_concurrent must be 0 (no limit) or more, but got {max_concurrent!r}."
            )
        _import_optuna()
        self._options = _checked_options(bohb_config or {})
        self._max_concurrent = max_concurrent
        self._seed = seed
        self._rng: random.Random | None = None
        self._points_used = 0
        self._values: dict[str, dict[str, Any]] = {}  # {trial id: values}
        self._budgets: dict[str, float] = {}  # {trial id: budget of its latest result}
        self._losses: dict[float, dict[str, float]] = {}  # {budget: {trial id: loss}}
        # {budget: (study with its observations, number of observations)}; made when needed
        self._studies: dict[float | None, tuple[Any, int]] = {}
        self._live: set[str] = set()
        # The scheduler's thread changes this set while the searcher may run in another thread.
        # Adding, discarding and the copy in get_state are atomic.
        self._paused: set[str] = set()

    @staticmethod
    def convert_search_space(spec: dict[str, Any]) -> dict[str, Any]:
        """Returns {flat name: distribution of Optuna} for a search space.

        A choice is the number of its option. Parameters that depend on a choice always exist.
        """
        optuna = _import_optuna()
        space = ConvertedSpace(spec, TuneBOHB.library, conditional=True)
        return {each.name: _distribution(optuna, each) for each in space.parameters}

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        self._max_concurrent = max_concurrent
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        space = self.check_ready()
        if 0 < self._max_concurrent <= len(self._live - self._paused):
            return None
        values = self._next_values(space)
        self._values[trial_id] = values
        self._live.add(trial_id)
        return space.config(values)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        info = result.get(_INFO)
        if info is None:
            return
        self._budgets[trial_id] = budget = float(info["budget"])
        if info.get("reached", True):
            self._observe(trial_id, budget, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result and not error:
            self._observe(trial_id, self._budgets.get(trial_id, _NO_BUDGET), result)
        self._live.discard(trial_id)
        self._paused.discard(trial_id)
        self._budgets.pop(trial_id, None)
        if not any(trial_id in losses for losses in self._losses.values()):
            self._values.pop(trial_id, None)

    def on_pause(self, trial_id: str) -> None:
        """Notes that a trial waits at a milestone, and does not count for ``max_concurrent``."""
        self._paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        """Notes that a paused trial goes on."""
        self._paused.discard(trial_id)

    def set_state(self, state: dict[str, Any]) -> None:
        given = state.get("_given_space")
        super().set_state({key: each for key, each in state.items() if key != "_given_space"})
        # A space that was given again takes precedence over the saved one.
        if not self.has_space and given is not None:
            self._take_space(given)
        self._studies = {}

    def get_state(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # These come from the run or the constructor each time.
        for name in ("_space", "_points", "_rewards", "_options", "_max_concurrent", "_studies"):
            del state[name]
        return {**state, "_paused": set(self._paused)}

    # -- the model ------------------------------------------------------------------------------

    def _observe(self, trial_id: str, budget: float, result: Mapping[str, Any]) -> None:
        """Records the loss of a trial on a budget, unless it is known."""
        if trial_id not in self._values:
            return
        value = result.get(str(self._metric))
        if value is None:
            return  # the run reports a missing metric, unless this check is switched off
        loss = float(value) if self._mode == "min" else -float(value)
        # NaN counts as the worst value.
        loss = math.inf if math.isnan(loss) else loss
        self._losses.setdefault(budget, {}).setdefault(trial_id, loss)

    def _next_values(self, space: ConvertedSpace) -> dict[str, Any]:
        if self._rng is None:
            self._rng = random.Random(self._run_seed if self._seed is None else self._seed)
        # Both values are drawn in each case, so that a resumed run draws the same ones.
        is_random = self._rng.random() < self._options["random_fraction"]
        seed = self._rng.getrandbits(32)
        if self._points_used < len(self._points):
            self._points_used += 1
            # Missing parameters are drawn, since the model needs a value for each.
            point = self.point_values()[self._points_used - 1]
            return {**self._draw(space, None, seed), **point}
        return self._draw(space, None if is_random else self._model_budget(space), seed)

    def _min_points(self, space: ConvertedSpace) -> int:
        given = self._options["min_points_in_model"]
        return len(space.parameters) + 1 if given is None else int(given)

    def _model_budget(self, space: ConvertedSpace) -> float | None:
        """Returns the largest budget with enough observations; None if there is none."""
        enough = self._min_points(space) + 2
        return max(
            (budget for budget, losses in self._losses.items() if len(losses) >= enough),
            default=None,
        )

    def _draw(self, space: ConvertedSpace, budget: float | None, seed: int) -> dict[str, Any]:
        """Returns values that the model of a budget suggests; random ones without a budget."""
        optuna = _import_optuna()
        distributions = {each.name: _distribution(optuna, each) for each in space.parameters}
        study = self._study(optuna, budget, distributions)
        is_random = budget is None
        study.sampler = _random(optuna, seed) if is_random else self._sampler(optuna, space, seed)
        asked = study.ask(fixed_distributions=distributions)
        # The result is added later as an observation, possibly on another budget.
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return dict(asked.params)

    def _study(self, optuna: Any, budget: float | None, distributions: dict[str, Any]) -> Any:
        """Returns the study with all observations on a budget."""
        if budget not in self._studies:
            self._studies[budget] = (_quiet_study(optuna), 0)
        study, known_count = self._studies[budget]
        losses = self._losses[budget] if budget is not None else {}
        for trial_id, loss in itertools.islice(losses.items(), known_count, None):
            study.add_trial(
                optuna.trial.create_trial(
                    params=self._values[trial_id], distributions=distributions, value=loss
                )
            )
        self._studies[budget] = (study, len(losses))
        return study

    def _sampler(self, optuna: Any, space: ConvertedSpace, seed: int) -> Any:
        import warnings

        min_points, share = self._min_points(space), self._options["top_n_percent"] / 100
        with warnings.catch_warnings():
            # Optuna warns that its multivariate model is experimental.
            warnings.simplefilter("ignore")
            return optuna.samplers.TPESampler(
                multivariate=True,
                n_startup_trials=0,
                n_ei_candidates=int(self._options["num_samples"]),
                gamma=lambda count: max(min_points, int(count * share)),
                weights=lambda count: [1.0] * count,  # old observations count as much as new ones
                constant_liar=False,
                seed=seed,
            )


def _random(optuna: Any, seed: int) -> Any:
    return optuna.samplers.RandomSampler(seed=seed)


def _quiet_study(optuna: Any) -> Any:
    """Returns a new study in memory, without a line in Optuna's log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="minimize")
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    """Returns Optuna's distribution for a parameter."""
    kinds = optuna.distributions
    shape: Any = parameter.shape
    if isinstance(shape, Options):
        return kinds.CategoricalDistribution(tuple(range(len(shape.values))))
    # Optuna has no steps on a logarithmic scale. Such values are rounded afterwards.
    step = None if shape.is_log else shape.q
    if shape.is_integer:
        return kinds.IntDistribution(
            int(shape.lower), int(shape.upper), log=shape.is_log, step=int(step or 1)
        )
    return kinds.FloatDistribution(shape.lower, shape.upper, log=shape.is_log, step=step)


def _checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of the model after a check of the given ones."""
    for key, value in given.items():
        if key in _UNSUPPORTED:
            raise ValueError(
                f"bohb_config has {key!r}, but the model chooses its bandwidths itself. "
                f"Leave it out. The options are {', '.join(_DEFAULTS)}."
            )
        if key not in _DEFAULTS:
            hint = did_you_mean(key, _DEFAULTS)
            raise ValueError(f"bohb_config may have {', '.join(_DEFAULTS)}, but got {key!r}.{hint}")
        if value is None and _DEFAULTS[key] is None:
            continue
        lowest, highest, kind = _RANGES[key]
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        if not is_number or not lowest <= value <= highest:
            raise ValueError(
                f"{key} of bohb_config must be a number from {lowest} to {highest}, "
                f"{'whole, ' if kind is int else ''}but got {value!r}."
            )
    return {**_DEFAULTS, **given}


_RANGES: dict[str, tuple[float, float, Any]] = {
    "min_points_in_model": (1, math.inf, int),
    "top_n_percent": (0, 100, (int, float)),
    "num_samples": (1, math.inf, int),
    "random_fraction": (0, 1, (int, float)),
}


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ExtraMissingError("optuna", "optuna", "TuneBOHB") from error
    return optuna
