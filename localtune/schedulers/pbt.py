"""PopulationBasedTraining: trials take over the checkpoints of better ones, slightly changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from localtune.error import TuneError
from localtune.schedulers.explore import Exploration, check_keys, check_mutations, fill_in
from localtune.schedulers.pbt_replay import (
    PopulationBasedTrainingReplay as PopulationBasedTrainingReplay,
)
from localtune.schedulers.policy_log import PolicyLog
from localtune.schedulers.population_scheduler import PopulationScheduler, check_range
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import searcher_name

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial

__all__ = ["PopulationBasedTraining"]

_LARGEST = sys.float_info.max


class PopulationBasedTraining(PopulationScheduler):
    """Trains a population of trials that learn from each other while they run.

    Every ``perturbation_interval``, a trial that is among the worst goes on from the latest
    checkpoint of one that is among the best, with a configuration near that one's. So the
    configuration changes during training, as a schedule does. See Jaderberg et al. 2017,
    "Population Based Training of Neural Networks" (arXiv:1711.09846).

    Trials must save and load checkpoints. If more trials wait than can run at once, they take
    turns: one that was decided upon pauses. A trial never goes back to where, or before where, it
    went on as another one the last time: so each run comes to its end.

    Args:
        time_attr: Key of the results that says how far a trial is: a number that grows.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        perturbation_interval: How much ``time_attr`` grows between two decisions, above 0.
        burn_in_period: Until when, in ``time_attr``, nothing is decided.
        hyperparam_mutations: {key: what it may become}: a list (or tuple) of values, of which a
            step takes the next or the one before; a domain such as ``tune.uniform(0, 1)``, or a
            function without arguments, by which a step draws anew or multiplies the number by a
            factor; a dict for nested configurations. Keys that the search space lacks are drawn.
        quantile_fraction: Share of the trials that count as best, and as worst; 0 to 0.5.
        resample_probability: How likely a value is drawn anew rather than changed; 0 to 1.
        perturbation_factors: What numbers are multiplied by.
        custom_explore_fn: ``config -> config``, called after the step above; it may change what
            it gets, and must return it.
        log_config: Whether to write each step to ``pbt_global.txt`` and
            ``pbt_policy_<trial id>.txt`` in the experiment's directory.
        require_attrs: Whether a result without the metric or ``time_attr`` is an error.
        synch: Whether to decide upon all trials at once, when the last of them has come as far.

    Raises:
        TuneError: if there are neither mutations nor a function.
        TypeError: for a mutation of another kind.
        ValueError: for a number out of its range.

    Example:
        >>> from localtune.search.sample import uniform
        >>> scheduler = PopulationBasedTraining(
        ...     time_attr="training_iteration",
        ...     metric="loss",
        ...     mode="min",
        ...     perturbation_interval=5,
        ...     hyperparam_mutations={"lr": uniform(1e-4, 1e-1), "batch": [16, 32, 64]},
        ... )
        >>> scheduler.debug_string()
        'PopulationBasedTraining: 0 exploits'
    """

    # Which argument names the keys that change.
    _mutations_name = "hyperparam_mutations"

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: dict[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
    ) -> None:
        mutations = {} if hyperparam_mutations is None else hyperparam_mutations
        check_mutations(mutations)
        if not mutations and custom_explore_fn is None:
            raise TuneError(
                f"{type(self).__name__} needs to know what may change: give hyperparam_mutations, "
                "such as {'lr': tune.loguniform(1e-4, 1e-1)}, or a custom_explore_fn."
            )
        if custom_explore_fn is not None and not callable(custom_explore_fn):
            raise TypeError(f"custom_explore_fn must be a function, but got {custom_explore_fn!r}.")
        check_range("resample_probability", resample_probability, 0, 1)
        if not len(perturbation_factors):
            raise ValueError("perturbation_factors must not be empty: (1.2, 0.8), for example.")
        for factor in perturbation_factors:
            check_range("each of perturbation_factors", factor, -_LARGEST, _LARGEST)
        super().__init__(
            time_attr,
            metric,
            mode,
            mutations=mutations,
            interval=perturbation_interval,
            burn_in=burn_in_period,
            fraction=quantile_fraction,
            log=PolicyLog() if log_config else None,
            require_attrs=require_attrs,
            synch=synch,
        )
        self._exploration = Exploration(mutations, resample_probability, perturbation_factors)
        self._custom_explore = custom_explore_fn

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        super().check_run(param_space, search_alg)
        if not isinstance(search_alg, BasicVariantGenerator):
            raise ValueError(
                f"{type(self).__name__} searches itself, and cannot be combined with "
                f"{searcher_name(search_alg)}. Leave search_alg out."
            )
        check_keys(self._mutations_name, self._mutations, param_space)

    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        config = self._step(trial, donor)
        if self._custom_explore is None:
            return config
        explored: object = self._custom_explore(config)
        if not isinstance(explored, dict):
            raise AssertionError(
                "custom_explore_fn must return the new configuration, a dict, but returned "
                f"{explored!r}."
            )
        return explored

    def _step(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """The donor's configuration after one step of exploration; shares no dict with it."""
        config, _ = fill_in(donor.config, self._mutations, self._rng)
        return self._exploration.explore(config, self._rng)
