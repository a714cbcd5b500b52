"""What the reference of the API describes: scripts/docs builds it from this."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any

from tests.contracts import LOGGERS, SCHEDULERS, SEARCHERS, STOPPERS, modules_to_import_from

# Packages and modules that users import from; each says with ``__all__`` what is public.
_MODULES = (
    "localtune",
    "localtune.schedulers",
    *modules_to_import_from(SCHEDULERS),
    "localtune.search",
    *modules_to_import_from(SEARCHERS),
    "localtune.stopper",
    *modules_to_import_from(STOPPERS),
    "localtune.logger",
    *modules_to_import_from(LOGGERS),
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
