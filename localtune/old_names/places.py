"""Modules of earlier releases of Ray Tune: where their names are today."""

from __future__ import annotations

# {a module below ray.tune of an earlier release: the module below localtune}
OLD_PLACES = {
    "async_hyperband": "schedulers.async_hyperband",
    "durable_trainable": "trainable",
    "experiment.config_parser": "experiment",
    "function_runner": "trainable.function_trainable",
    "hyperband": "schedulers.hyperband",
    "hyperopt_scheduler": "search.hyperopt",
    "median_stopping_rule": "schedulers.median_stopping_rule",
    "pbt": "schedulers.pbt",
    "sample": "search.sample",
    "suggest": "search",
    "suggest.ax": "search.ax",
    "suggest.basic_variant": "search.basic_variant",
    "suggest.bayesopt": "search.bayesopt",
    "suggest.bohb": "search.bohb",
    "suggest.hyperopt": "search.hyperopt",
    "suggest.nevergrad": "search.nevergrad",
    "suggest.optuna": "search.optuna",
    "suggest.repeater": "search.repeater",
    "suggest.search": "search.search_algorithm",
    "suggest.search_generator": "search.search_generator",
    "suggest.suggestion": "search.searcher",
    "suggest.variant_generator": "search.variant_generator",
    "suggest.zoopt": "search.zoopt",
    "trial": "experiment.trial",
    "trial_scheduler": "schedulers.trial_scheduler",
    "util": "utils",
    "utils.placement_groups": "execution.placement_groups",
    "utils.trainable": "trainable",
    "variant_generator": "search.variant_generator",
}
