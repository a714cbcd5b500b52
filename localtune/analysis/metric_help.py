"""The metrics that trials reported, and the error for a metric that none of them has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from localtune.result import NOT_METRICS
from localtune.utils.text import did_you_mean

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_MAX_NAMES = 20


def user_metrics(trials: Iterable[Trial]) -> list[str]:
    """Returns the metrics that the user reported, in the order in which they came up."""
    return list(
        dict.fromkeys(
            name for trial in trials for name in trial.metric_stats if name not in NOT_METRICS
        )
    )


def explain_no_best(trials: Sequence[Trial], metric: str, *, only_finite: bool) -> str:
    """Explains why no trial is the best by a metric.

    Args:
        trials: All trials.
        metric: Flat name of the metric.
        only_finite: Whether trials whose value is NaN or infinite were left out.
    """
    if not trials:
        return "There is no best trial: the experiment has no trials."
    known = {name for trial in trials for name in trial.metric_stats}
    if not known:
        return f"There is no best trial by {metric!r}: no trial has reported a number."
    if metric in known and only_finite:
        return (
            f"There is no best trial by {metric!r}: its value is NaN or infinite in each trial "
            "that reported it. With filter_nan_and_inf=False such trials count, too."
        )
    hint = did_you_mean(metric, sorted(known))
    return (
        f"There is no best trial by {metric!r}: no trial has reported a number of that name.{hint} "
        f"Reported were: {_listed(known)}."
    )


def _listed(known: Iterable[str]) -> str:
    names = sorted(known, key=lambda name: (name in NOT_METRICS, name))
    rest = len(names) - _MAX_NAMES
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(names[:_MAX_NAMES]) + more
