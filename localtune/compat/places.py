"""Modules of Ray that have another place in localtune, or none."""

from __future__ import annotations

# {a module of an earlier release of Ray: where its names are today}
OLD_PLACES = {
    "ray.tune.suggest": "localtune.search",
    "ray.tune.suggest.hyperopt": "localtune.search.hyperopt",
    "ray.tune.suggest.optuna": "localtune.search.optuna",
    "ray.tune.suggest.bayesopt": "localtune.search.bayesopt",
}
# {a part of Ray that localtune does not have: what to do}
REFUSED = {
    "ray.data": "Load the data in the trainable, or pass it with tune.with_parameters().",
    "ray.serve": "Serve the model with a program of its own.",
    "ray.rllib": "Train with another library for reinforcement learning.",
}
