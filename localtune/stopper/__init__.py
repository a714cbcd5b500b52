"""Stoppers: when trials, or the whole run, are to stop.

This package exports a fixed list of names. Any other stopper is imported from its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.stopper.base import Stopper as Stopper
    from localtune.stopper.combined import CombinedStopper as CombinedStopper
    from localtune.stopper.dict_stopper import DictStopper as DictStopper
    from localtune.stopper.experiment_plateau import (
        ExperimentPlateauStopper as ExperimentPlateauStopper,
    )
    from localtune.stopper.function_stopper import FunctionStopper as FunctionStopper
    from localtune.stopper.maximum_iteration import (
        MaximumIterationStopper as MaximumIterationStopper,
    )
    from localtune.stopper.noop import NoopStopper as NoopStopper
    from localtune.stopper.timeout import TimeoutStopper as TimeoutStopper
    from localtune.stopper.trial_plateau import TrialPlateauStopper as TrialPlateauStopper
    from localtune.stopper.trial_timeout import TrialTimeoutStopper as TrialTimeoutStopper

_MODULES = {
    "CombinedStopper": "stopper.combined",
    "DictStopper": "stopper.dict_stopper",
    "ExperimentPlateauStopper": "stopper.experiment_plateau",
    "FunctionStopper": "stopper.function_stopper",
    "MaximumIterationStopper": "stopper.maximum_iteration",
    "NoopStopper": "stopper.noop",
    "Stopper": "stopper.base",
    "TimeoutStopper": "stopper.timeout",
    "TrialPlateauStopper": "stopper.trial_plateau",
    "TrialTimeoutStopper": "stopper.trial_timeout",
}

__all__ = [*sorted(_MODULES)]

__getattr__ = lazy_names(__name__, _MODULES)
