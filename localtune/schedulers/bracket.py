"""Brackets of HyperBand: how many trials, until when, and who is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BracketSize:
    """What a bracket starts with.

    Attributes:
        s: How often it will be cut down.
        n: How many trials it takes.
        r: Time at which they are compared first.
    """

    s: int
    n: int
    r: int


def band_sizes(max_t: float, reduction_factor: float) -> list[BracketSize]:
    """The brackets of one band, by growing number of halvings.

    Brackets whose first comparison would come at time 0 are left out.

    Args:
        max_t: Time at which every trial is over.
        reduction_factor: One in how many trials is kept at each comparison.

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
    """What a bracket knows of one of its trials.

    Attributes:
        score: Of its latest result; higher is better.
        time: Of its latest result.
        is_waiting: Whether it has reached the milestone, and waits for the others.
    """

    score: float = -math.inf
    time: float = 0.0
    is_waiting: bool = False


class Bracket:
    """Trials that are compared with one another, and become fewer each time.

    Args:
        size: What it starts with.
        max_t: Time at which every trial is over.
        reduction_factor: One in how many trials is kept at each comparison.

    Attributes:
        size: What it started with.
        n: How many trials it may hold now.
        milestone: Time at which its trials are compared next.
        halvings: How often it will still be cut down.
        members: {trial id: what is known of it}, in the order in which they came.
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
        self._absent: set[str] = set()  # who failed since the last comparison
        self._progress = 0.0
        self._total_work = self._work()

    @property
    def is_complete(self) -> bool:
        """Whether it takes no further trials."""
        return self._is_closed or self._admitted >= self.size.n

    @property
    def all_wait(self) -> bool:
        """Whether it has trials, and all of them have reached the milestone."""
        return bool(self.members) and all(each.is_waiting for each in self.members.values())

    @property
    def share_done(self) -> float:
        """How much of its work is done; 0 is nothing."""
        return self._progress / self._total_work

    def admit(self, trial_id: str) -> None:
        """Takes in a new trial."""
        self.members[trial_id] = Member()
        self._admitted += 1

    def readmit(self, trial_id: str) -> bool:
        """Takes in again who failed; returns False if the others have gone on without it."""
        if trial_id not in self._absent:
            return False
        self._absent.remove(trial_id)
        self.members[trial_id] = Member()
        return True

    def record(self, trial_id: str, time: float, score: float | None) -> None:
        """Notes a result; without a score the one before stays."""
        member = self.members[trial_id]
        self._progress += max(time - member.time, 0.0)
        member.time = time
        if score is not None:
            member.score = score

    def remove(self, trial_id: str, *, may_return: bool = False) -> None:
        """Forgets a trial.

        Args:
            trial_id: The trial.
            may_return: Whether it has its place back if it is retried.
        """
        del self.members[trial_id]
        if may_return:
            self._absent.add(trial_id)

    def halve(self) -> list[str]:
        """Keeps the best trials until the next milestone; takes no further ones.

        Returns:
            Ids of those that are not kept. They are members no more.
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

    def hold_who_is_ahead(self) -> None:
        """Lets the trials wait that have passed the milestone already, with a longer step."""
        for member in self.members.values():
            member.is_waiting = member.time >= self.milestone

    def close(self) -> None:
        """Takes no further trials."""
        self._is_closed = True

    def _work(self) -> float:
        """Time that all its trials need together, if it fills."""
        n, milestone, before, work = self.n, self.milestone, 0.0, 0.0
        for _ in range(self.halvings + 1):
            work += n * (milestone - before)
            before = milestone
            n = math.ceil(n / self._factor)
            milestone = min(int(milestone * self._factor), self._max_t)
        return work
