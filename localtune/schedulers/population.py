"""The trials of population based training: how far each is, how well it does, who is best."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from localtune.schedulers.policy_log import Exploit
from localtune.trial.trial import Trial

# 100 trials x 0.07 are 7, not the 8 that rounding errors make of it.
_ROUNDING = 1e-9


@dataclass(slots=True)
class Member:
    """What is known of one trial.

    Attributes:
        tag: Its tag, as it was first.
        time: How far it was when it was looked at last.
        iteration: How many iterations those were.
        score: Its score then, higher is better; None if it has none, or NaN.
        perturbed_at: How far it was when it was last decided upon.
        is_saved: Whether it was to be saved when it was looked at last.
        began_at: How far its donor was when it was cloned last.
    """

    tag: str
    time: float = 0.0
    iteration: int = 0
    score: float | None = None
    perturbed_at: float = 0.0
    is_saved: bool = False
    began_at: float = -math.inf


@dataclass(frozen=True, slots=True)
class Wish:
    """That a trial shall go on as another one; it stays what it is if that has no checkpoint.

    Attributes:
        donor_id: The other one.
        experiment_tag: By which one sees that it came true.
        member: What is known of the trial from then on.
        exploit: What the log says of it.
    """

    donor_id: str
    experiment_tag: str
    member: Member
    exploit: Exploit


def quantile_size(population: int, fraction: float) -> int:
    """How many trials are in the lower, and in the upper quantile; they never overlap.

    Args:
        population: How many trials have a score.
        fraction: Share of them, from 0 to 0.5.

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
    """The worst and the best trials.

    Args:
        members: By id of their trials, in the order in which these were added. Of two with the
            same score the one that was added first counts as the worse.
        trials: Those that have not ended.
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
