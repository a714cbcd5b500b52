"""ResumeConfig: which trials go on when a run is taken up again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass
class ResumeConfig:
    """Which trials go on when a run is taken up again.

    Args:
        finished: Trials that ended well.
        unfinished: Trials that were waiting, running or paused.
        errored: Trials that failed.
    """

    class ResumeType(Enum):
        """RESUME continues from the latest checkpoint, RESTART from scratch, SKIP does nothing."""

        RESUME = "resume"
        RESTART = "restart"
        SKIP = "skip"

    finished: ResumeType = field(default=ResumeType.SKIP)
    unfinished: ResumeType = field(default=ResumeType.RESUME)
    errored: ResumeType = field(default=ResumeType.SKIP)
