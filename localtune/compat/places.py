"""Modules of localtune that stand for modules of Ray."""

from __future__ import annotations

import importlib.util
import sys

from localtune.old_names.places import OLD_PLACES

_OWN = "localtune.compat.ray"
_INTEGRATIONS = {
    "comet": "localtune.logger.comet",
    "keras": "localtune.integration.keras",
    "mlflow": "localtune.integration.mlflow",
    "wandb": "localtune.integration.wandb",
}
# {a module of Ray: the module that has its names}. Other modules below ray.tune have the same path
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
    "ray.train.session": "localtune.compat.ray.air.session",
    "ray.tune.integration.comet": "localtune.logger.comet",
    "ray.util.ml_utils": "localtune.utils",
    "ray.util.ml_utils.dict": "localtune.utils.dicts",
}


def own_name(name: str) -> str | None:
    """Returns the name of the module that stands for a module of Ray.

    Args:
        name: ``ray``, or a dotted name below it.

    Returns:
        The name of a module outside Ray; None if there is none.
    """
    candidates = [_OWN + name.removeprefix("ray")]
    if name in PLACES:
        candidates.append(PLACES[name])
    if name.startswith("ray.tune."):
        candidates.append("localtune." + name.removeprefix("ray.tune."))
    return next((each for each in candidates if _exists(each)), None)


def _exists(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
