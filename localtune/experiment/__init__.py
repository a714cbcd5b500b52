"""Experiment and Trial, under the path that they have in Ray Tune."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.running.experiment import Experiment as Experiment
    from localtune.trial.trial import Trial as Trial

_MODULES = {"Experiment": "running.experiment", "Trial": "trial.trial"}

__all__ = sorted(_MODULES)

__getattr__ = lazy_names(__name__, _MODULES)
