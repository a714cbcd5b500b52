"""What an experiment consists of: trials, their states and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.experiment.trial import Trial as Trial
    from localtune.experiment_spec import Experiment as Experiment

__all__ = ["Experiment", "Trial"]

_MODULES = {
    "Experiment": "localtune.experiment_spec",
    "Trial": "localtune.experiment.trial",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
