"""ResumeConfig: what happens to each kind of trial when a run is taken up again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass
class ResumeConfig:
    """What happens to each kind of trial when a run is taken up again.

    Args:
        finished: Trials that ended well.
        unfinished: Trials that were waiting, running or paused.
        errored: Trials that failed.
    """

    class ResumeType(Enum):
        """RESUME goes on from the latest checkpoint, RESTART anew, SKIP leaves it as it is."""

        RESUME = "resume"
        RESTART = "restart"
        SKIP = "skip"

    finished: ResumeType = field(default=ResumeType.SKIP)
    unfinished: ResumeType = field(default=ResumeType.RESUME)
    errored: ResumeType = field(default=ResumeType.SKIP)
