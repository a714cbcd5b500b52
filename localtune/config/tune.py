"""What a run searches for and how: TuneConfig."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.schedulers import TrialScheduler
    from localtune.trial.trial import Trial


@dataclass
class TuneConfig:
    """What to optimise, with how many trials.

    Args:
        mode: ``"min"`` or ``"max"``.
        metric: Metric to optimise; a key of the results, nested keys joined by ``/``.
        search_alg: Where configurations come from; None samples the search space.
        scheduler: Decides which trials stop, pause or go on; None runs each to its end.
        num_samples: How many times the search space is sampled (and its grid repeated); -1 is
            without end.
        max_concurrent_trials: How many trials may run at once; None or 0 is what resources allow.
        time_budget_s: Seconds after which the whole run is stopped; a number or a timedelta.
        reuse_actors: Keep worker processes for the next trial (needs ``reset_config`` in a
            class).
        trial_name_creator: ``trial -> str``, the trial's name.
        trial_dirname_creator: ``trial -> str``, the name of the trial's directory.
        seed: Makes the run repeatable: the configurations, wherever the search algorithm allows
            it, the draws of the scheduler, and the seeds of the trials depend on it. None takes
            one from NumPy's global generator if NumPy is imported, else from Python's.
    """

    mode: str | None = None
    metric: str | None = None
    search_alg: Any = None
    scheduler: TrialScheduler | str | None = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: float | datetime.timedelta | None = None
    reuse_actors: bool = False
    trial_name_creator: Callable[[Trial], str] | None = None
    trial_dirname_creator: Callable[[Trial], str] | None = None
    seed: int | None = None


def check_metric_and_mode(metric: Any, mode: Any) -> None:
    """Raises ValueError for a mode that is neither min nor max, or a metric that is no name."""
    if mode is not None and mode not in ("min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
    if metric is not None and not isinstance(metric, str):
        raise ValueError(f"metric must be the name of a metric, but got {metric!r}.")
