"""Brackets of HyperBand: groups of trials that are compared at milestones."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BracketSize:
    """The initial size of a bracket, in the terms of the HyperBand paper.

    Attributes:
        s: Number of halvings.
        n: Number of trials.
        r: Time of the first comparison.
    """

    s: int
    n: int
    r: int


def band_sizes(max_t: float, reduction_factor: float) -> list[BracketSize]:
    """Returns the brackets of one band, by growing number of halvings.

    Brackets whose first comparison would be at time 0 are left out.

    Args:
        max_t: Time at which every trial ends.
        reduction_factor: One in ``reduction_factor`` trials is kept at each comparison.

    Example:
        >>> [(size.n, size.r) for size in band_sizes(9, 3)]
        [(3, 9), (5, 3), (9, 1)]
    """
    count = round(math.log(max_t) / math.log(reduction_factor)) + 1
    sizes = (
        BracketSize(
            s=s,
            n=math.ceil(count / (s + 1) * reduction_factor**s),
            r=int(max_t / reduction_factor**s),
        )
        for s in range(count)
    )
    return [size for size in sizes if size.r > 0]


@dataclass(slots=True)
class Member:
    """A bracket's record of one trial.

    Attributes:
        score: Score of its latest result; higher is better.
        time: Time of its latest result.
        is_waiting: Whether it has reached the milestone and waits for the others.
    """

    score: float = -math.inf
    time: float = 0.0
    is_waiting: bool = False


class Bracket:
    """A group of trials of which only the best are kept at each milestone.

    Args:
        size: Initial size.
        max_t: Time at which every trial ends.
        reduction_factor: One in ``reduction_factor`` trials is kept at each comparison.

    Attributes:
        size: Initial size.
        n: Largest number of trials until the next comparison.
        milestone: Time of the next comparison.
        halvings: Number of halvings that are left.
        members: {trial id: record}, in the order in which the trials joined.
    """

    def __init__(self, size: BracketSize, max_t: float, reduction_factor: float) -> None:
        self.size = size
        self.n = size.n
        self.milestone: float = size.r
        self.halvings = size.s
        self.members: dict[str, Member] = {}
        self._max_t = max_t
        self._factor = reduction_factor
        self._admitted = 0
        self._is_closed = False
        self._absent: set[str] = set()  # ids of trials that failed since the last comparison
        self._progress = 0.0
        self._total_work = self._work()

    @property
    def is_complete(self) -> bool:
        """Whether the bracket takes no further trials."""
        return self._is_closed or self._admitted >= self.size.n

    @property
    def all_wait(self) -> bool:
        """Whether the bracket has trials and all of them have reached the milestone."""
        return bool(self.members) and all(each.is_waiting for each in self.members.values())

    @property
    def share_done(self) -> float:
        """Share of the bracket's work that is done, from 0 on."""
        return self._progress / self._total_work

    def admit(self, trial_id: str) -> None:
        """Takes in a new trial."""
        self.members[trial_id] = Member()
        self._admitted += 1

    def readmit(self, trial_id: str) -> bool:
        """Takes in a trial again that has failed.

        Returns:
            False if the bracket has compared its trials since the failure.
        """
        if trial_id not in self._absent:
            return False
        self._absent.remove(trial_id)
        self.members[trial_id] = Member()
        return True

    def record(self, trial_id: str, time: float, score: float | None) -> None:
        """Records a result.

        Args:
            trial_id: Id of a member.
            time: Time of the result.
            score: Score of the result; None keeps the last score.
        """
        member = self.members[trial_id]
        self._progress += max(time - member.time, 0.0)
        member.time = time
        if score is not None:
            member.score = score

    def remove(self, trial_id: str, *, may_return: bool = False) -> None:
        """Forgets a trial.

        Args:
            trial_id: Id of a member.
            may_return: Whether the trial gets its place back if it is retried.
        """
        del self.members[trial_id]
        if may_return:
            self._absent.add(trial_id)

    def halve(self) -> list[str]:
        """Keeps the best trials until the next milestone, and takes no new trials from now on.

        Returns:
            Ids of the other trials, which are no longer members.
        """
        self.n = math.ceil(self.n / self._factor)
        self.milestone = min(int(self.milestone * self._factor), self._max_t)
        self.halvings -= 1
        self.close()
        self._absent.clear()
        ranked = sorted(self.members, key=lambda trial_id: self.members[trial_id].score)
        dropped = ranked[: -self.n]
        for trial_id in dropped:
            del self.members[trial_id]
        for member in self.members.values():
            member.is_waiting = False
        return dropped

    def hold_members_ahead(self) -> None:
        """Marks the members as waiting that a long step has taken past the milestone."""
        for member in self.members.values():
            member.is_waiting = member.time >= self.milestone

    def close(self) -> None:
        """Makes the bracket take no further trials."""
        self._is_closed = True

    def _work(self) -> float:
        """Returns the sum of the times of all trials of a full bracket."""
        n, milestone, before, work = self.n, self.milestone, 0.0, 0.0
        for _ in range(self.halvings + 1):
            work += n * (milestone - before)
            before = milestone
            n = math.ceil(n / self._factor)
            milestone = min(int(milestone * self._factor), self._max_t)
        return work
