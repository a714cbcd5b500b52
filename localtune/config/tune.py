"""TuneConfig: the goal and the method of a search."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any

from localtune.config.checks import check_metric_and_mode, check_num_samples, is_count
from localtune.old_names.use import translated

if TYPE_CHECKING:
    from localtune.config.protocols import SchedulerLike
    from localtune.trial.trial import Trial


@dataclass
class TuneConfig:
    """The goal and the method of a search.

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
        chdir_to_trial_dir: Refused; use the environment variable ``RAY_CHDIR_TO_TRIAL_DIR``.
        seed: Makes the run repeatable. The configurations (if the search algorithm allows it), the
            draws of the scheduler and the seeds of the trials depend on it. None takes one from
            NumPy's global generator if NumPy is imported, else from Python's.

    Raises:
        ValueError: for a value that makes no sense. The search algorithm, the scheduler and the
            seed are checked when a run is prepared.
    """

    mode: str | None = None
    metric: str | None = None
    search_alg: Any = None
    scheduler: SchedulerLike | str | None = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: float | datetime.timedelta | None = None
    reuse_actors: bool = False
    trial_name_creator: Callable[[Trial], str] | None = None
    trial_dirname_creator: Callable[[Trial], str] | None = None
    chdir_to_trial_dir: InitVar[Any] = None
    seed: int | None = None

    def __post_init__(self, chdir_to_trial_dir: Any) -> None:
        if chdir_to_trial_dir is not None:
            translated("TuneConfig(chdir_to_trial_dir=)", chdir_to_trial_dir, (), {})
        check_metric_and_mode(self.metric, self.mode)
        check_num_samples(self.num_samples)
        check_max_concurrent(self.max_concurrent_trials)
        seconds_of(self.time_budget_s)

    @property
    def trial_limit(self) -> int:
        """``max_concurrent_trials`` as a number; 0 is no limit."""
        return self.max_concurrent_trials or 0

    @property
    def budget_s(self) -> float | None:
        """``time_budget_s`` in seconds, None for no budget."""
        return seconds_of(self.time_budget_s)


def check_max_concurrent(limit: Any) -> None:
    """Raises ValueError if ``max_concurrent_trials`` is neither None nor a whole number >= 0."""
    if not (limit is None or is_count(limit, 0)):
        raise ValueError(
            "max_concurrent_trials must be at least 1, or None or 0 for no limit, but got "
            f"{limit!r}."
        )


def seconds_of(budget: Any) -> float | None:
    """Returns the seconds of a ``time_budget_s``, None for no budget.

    Raises:
        ValueError: if it is negative or no duration.
    """
    if isinstance(budget, datetime.timedelta):
        budget = budget.total_seconds()
    if budget is None:
        return None
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not budget >= 0:
        raise ValueError(
            f"time_budget_s must be a number of seconds or a timedelta, not negative, but got "
            f"{budget!r}."
        )
    return float(budget) or None
