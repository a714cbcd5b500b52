"""What the reference of the API describes: scripts/docs builds it from this."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

# Packages and modules that users import from; each says with ``__all__`` what is public.
_MODULES = (
    "localtune",
    "localtune.schedulers",
    "localtune.search",
    "localtune.search.optuna",
    "localtune.search.hyperopt",
    "localtune.search.nevergrad",
    "localtune.search.bayesopt",
    "localtune.search.bohb",
    "localtune.search.ax",
    "localtune.stopper",
    "localtune.logger",
    "localtune.progress_reporter",
    "localtune.trainable",
    "localtune.experiment",
    "localtune.analysis",
    "localtune.utils",
    "localtune.tools.check",
    "localtune.tools.report",
    "localtune.integration.sklearn",
    "localtune.testing.simulation",
    "localtune.testing.curves",
    "localtune.error",
)


def documented_modules() -> list[str]:
    """Names of the modules that the reference describes, in its order."""
    return list(_MODULES)


def names_of(module: str) -> dict[str, Any]:
    """The public classes and functions of a module: {name: it}."""
    loaded: ModuleType = importlib.import_module(module)
    names = getattr(loaded, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(loaded).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module
        ]
    found = {name: getattr(loaded, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }
