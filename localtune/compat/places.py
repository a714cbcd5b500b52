"""Modules of Ray whose names are in a module of localtune with another path."""

from __future__ import annotations

from localtune.old_names.places import OLD_PLACES

_INTEGRATIONS = {
    "comet": "localtune.logger.comet",
    "keras": "localtune.integration.keras",
    "mlflow": "localtune.integration.mlflow",
    "wandb": "localtune.integration.wandb",
}
# {a module of Ray: the module whose names it has}. Other modules below ray.tune have the same path
# below localtune, or a file below localtune/compat/ray.
PLACES = {
    **{f"ray.tune.{old}": f"localtune.{today}" for old, today in OLD_PLACES.items()},
    **{f"ray.air.integrations.{name}": module for name, module in _INTEGRATIONS.items()},
    **{f"ray.air.callbacks.{name}": module for name, module in _INTEGRATIONS.items()},
    "ray.air.checkpoint": "localtune.checkpoint",
    "ray.air.integrations": "localtune.integration",
    "ray.air.callbacks": "localtune.integration",
    "ray.air.result": "localtune.analysis.result",
    "ray.train._checkpoint": "localtune.checkpoint",
    "ray.train.checkpoint": "localtune.checkpoint",
    "ray.tune.integration.comet": "localtune.logger.comet",
    "ray.util.ml_utils": "localtune.utils",
    "ray.util.ml_utils.dict": "localtune.utils.dicts",
}
