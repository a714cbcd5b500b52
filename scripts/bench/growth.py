"""Speed of the last trials of a long run, against the first ones.

What an event costs must not grow with the number of trials. Workers are reused, so that the run
ends soon. The two parts lie some seconds apart, so another program that starts in between changes
the ratio; the parent's CPU time per trial, which is shown too, tells whether it was one.
"""

from __future__ import annotations

import time
from typing import Any

from _common import options, rate, sweep, verdict
from _trainables import Reusable

import localtune as tune

TARGET = 0.95


class CpuClock(tune.Callback):
    """Notes the CPU time of this process at the end of each trial, in seconds."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        self.ends.append(time.process_time())


def main() -> None:
    given = options(__doc__, trials=10_000)
    cpu = CpuClock()
    ends = sweep(Reusable, given.trials, reuse_actors=True, callbacks=[cpu]).ends
    part = max(given.trials // 10, 2)
    first, last = rate(ends[:part]), rate(ends[-part:])
    first_us, last_us = 1e6 / rate(cpu.ends[:part]), 1e6 / rate(cpu.ends[-part:])
    verdict(
        f"speed of the last {part:,} of {given.trials:,} trials / first",
        last / first,
        at_least=TARGET,
        detail=f"first {first:,.0f} trials/s; last {last:,.0f} trials/s; CPU of the parent "
        f"{first_us:.0f} and {last_us:.0f} us per trial",
    )


if __name__ == "__main__":
    main()
