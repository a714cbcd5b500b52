"""The trials of population based training: time and score of each, and the quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from localtune.schedulers.policy_log import Exploit
from localtune.trial.trial import Trial

# See start_of.
Start: TypeAlias = "tuple[str | None, int, int | None]"

# 100 * 0.07 is slightly above 7, and must count as 7.
_ROUNDING = 1e-9


@dataclass(slots=True)
class Member:
    """The scheduler's record of one trial.

    Times are in units of ``time_attr``.

    Attributes:
        tag: The trial's first tag.
        time: Time of its last result that was due.
        iteration: Iteration of that result.
        score: Score of that result, higher is better; None for none or NaN.
        perturbed_at: Time of the last decision on the trial.
        is_saved: Whether a checkpoint was requested at that result.
        began_at: Time of the donor when this trial was last cloned from it.
    """

    tag: str
    time: float = 0.0
    iteration: int = 0
    score: float | None = None
    perturbed_at: float = 0.0
    is_saved: bool = False
    began_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """A request that a trial goes on from a donor's checkpoint.

    The trial goes on unchanged if the donor has no checkpoint.

    Attributes:
        donor_id: Id of the donor.
        start: The trial's start before the request, as :func:`start_of` returns it.
        member: Record of the trial from then on.
        exploit: Entry for the log.
    """

    donor_id: str
    start: Start | None
    member: Member
    exploit: Exploit

    def is_carried_out(self, trial: Trial) -> bool:
        """Returns whether the trial is the clone by now.

        The tag does not tell: a trial may get the values again that it has.
        """
        return start_of(trial) not in (None, self.start)


def start_of(trial: Trial) -> Start | None:
    """Returns what tells one clone of a trial from the next.

    Returns:
        Id of the donor, number of its checkpoint, and number of results that the trial had; None
        if the trial has a newer checkpoint of its own, or was never cloned.
    """
    point = trial.start_point
    return None if point is None else (point.owner_id, point.tracked.index, point.kept_count)


def quantile_size(population: int, fraction: float) -> int:
    """Returns the number of trials in each quantile; the two quantiles never overlap.

    Args:
        population: Number of trials with a score.
        fraction: Share of the trials in one quantile, from 0 to 0.5.

    Example:
        >>> [quantile_size(n, 0.25) for n in (1, 2, 3, 4, 5, 8, 9)]
        [0, 1, 1, 1, 2, 2, 3]
    """
    if population <= 1:
        return 0
    size = math.ceil(population * fraction - _ROUNDING)
    return population // 2 if size > population / 2 else size


def quantiles(
    members: dict[str, Member], trials: Iterable[Trial], fraction: float
) -> tuple[list[Trial], list[Trial]]:
    """Returns the worst and the best trials.

    Args:
        members: {trial id: record}, in the order in which the trials were added. Of two trials
            with the same score, the first one counts as worse.
        trials: The trials that have not ended.
        fraction: Share of the trials in each quantile.

    Returns:
        The lower and the upper quantile, each from the worst to the best.
    """
    by_id = {trial.trial_id: trial for trial in trials if not trial.is_finished()}
    scored = [
        (member.score, by_id[trial_id])
        for trial_id, member in members.items()
        if member.score is not None and trial_id in by_id
    ]
    scored.sort(key=lambda pair: pair[0])
    ranked = [trial for _, trial in scored]
    size = quantile_size(len(ranked), fraction)
    return ranked[:size], ranked[len(ranked) - size :]
