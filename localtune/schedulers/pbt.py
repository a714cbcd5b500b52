"""PopulationBasedTraining: bad trials go on from good ones' checkpoints with changed parameters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from localtune.error import TuneError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.schedulers.explore import Exploration, check_keys, check_mutations, fill_in
from localtune.schedulers.metric_scheduler import check_range
from localtune.schedulers.pbt_replay import (
    PopulationBasedTrainingReplay as PopulationBasedTrainingReplay,
)
from localtune.schedulers.policy_log import PolicyLog
from localtune.schedulers.population_scheduler import PopulationScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import searcher_name

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial

__all__ = ["PopulationBasedTraining"]

_LARGEST = sys.float_info.max


@old_arguments_of_class("TrialScheduler")
class PopulationBasedTraining(PopulationScheduler):
    """Trains a population of trials that learn from each other while they run.

    Every ``perturbation_interval``, each of the worst trials goes on from the latest checkpoint
    of one of the best trials, with a configuration near that trial's. Thus the configuration
    changes during training, like a schedule. See Jaderberg et al. 2017, "Population Based
    Training of Neural Networks" (arXiv:1711.09846).

    Trials must save and load checkpoints. If more trials wait than can run at once, they take
    turns: a trial pauses after each decision on it. A donor must be ahead of the time at which
    the trial last went on from a donor, so that each run ends.

    Args:
        time_attr: Key of the results that measures a trial's time: a number that grows.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        perturbation_interval: Time between two decisions on a trial, in units of ``time_attr``;
            above 0.
        burn_in_period: Time before the first decision on a trial, in units of ``time_attr``.
        hyperparam_mutations: {key: mutation}. A mutation is a list (or tuple) of values, where a
            step moves to the next or the previous value; a domain such as ``tune.uniform(0, 1)``
            or a function without arguments, where a step draws a new value or multiplies the
            number by a factor; or a dict for a nested configuration. Keys that are not in the
            search space are drawn.
        quantile_fraction: Share of the trials in the upper and in the lower quantile; 0 to 0.5.
        resample_probability: Probability that a value is drawn anew rather than changed; 0 to 1.
        perturbation_factors: Factors for numbers.
        custom_explore_fn: ``config -> config``, called after the step above. It may change its
            argument, and must return a dict.
        log_config: Whether to write each step to ``pbt_global.txt`` and
            ``pbt_policy_<trial id>.txt`` in the experiment's directory.
        require_attrs: Whether a result without the metric or ``time_attr`` is an error.
        synch: Whether to decide on all trials at once, when the last one has reached the time.

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

    # Name of the argument that holds the mutations, for error messages.
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
                f"{type(self).__name__} needs parameters that may change. Give "
                "hyperparam_mutations, such as {'lr': tune.loguniform(1e-4, 1e-1)}, or a "
                "custom_explore_fn."
            )
        if custom_explore_fn is not None and not callable(custom_explore_fn):
            raise TypeError(f"custom_explore_fn must be a function, but got {custom_explore_fn!r}.")
        check_range("resample_probability", resample_probability, 0, 1)
        if not len(perturbation_factors):
            raise ValueError("perturbation_factors must not be empty. Give (1.2, 0.8), say.")
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
                f"{type(self).__name__} changes configurations itself and cannot be combined with "
                f"{searcher_name(search_alg)}. Leave search_alg out."
            )
        check_keys(self._mutations_name, self._mutations, param_space)

    def _explore(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        config = self._perturb(trial, donor)
        if self._custom_explore is None:
            return config
        explored: object = self._custom_explore(config)
        if not isinstance(explored, dict):
            raise AssertionError(
                "custom_explore_fn must return the new configuration, a dict, but returned "
                f"{explored!r}."
            )
        return explored

    def _perturb(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """Returns the donor's configuration after one step; the two share no dict."""
        config, _ = fill_in(donor.config, self._mutations, self._rng)
        return self._exploration.explore(config, self._rng)
