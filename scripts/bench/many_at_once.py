"""Processor time of the parent per trial with 2,000 trials at once, against 100 at once.

Each trial waits until all have started, so that all of them live at the same time: what an event
costs the parent must not grow with the number of those that live.
"""

from __future__ import annotations

import resource
import time

from _common import options, scratch_dir, sweep, verdict
from _trainables import wait_for_all

import localtune as tune

TARGET = 3.0


def parent_s(trials: int) -> float:
    """Seconds of processor time of this process for a sweep, all of it at once."""
    with scratch_dir() as directory:
        train = tune.with_parameters(wait_for_all, directory=str(directory), count=trials)
        began = time.process_time()
        sweep(train, trials, slots=trials)
        return time.process_time() - began


def main() -> None:
    given = options(__doc__, trials=2000, few=100)
    parent_s(given.few)
    few_ms = parent_s(given.few) / given.few * 1e3
    many_ms = parent_s(given.trials) / given.trials * 1e3
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    verdict(
        f"parent's time per trial, {given.trials:,} / {given.few:,} at once",
        many_ms / few_ms,
        at_most=TARGET,
        detail=f"{few_ms:.1f} and {many_ms:.1f} ms per trial; at most {peak_mb:.0f} MB resident",
    )


if __name__ == "__main__":
    main()
