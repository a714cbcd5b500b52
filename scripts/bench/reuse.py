"""Trials per second with reused workers, against joblib's loky backend.

Subject: a sweep of two slots with all file loggers; its class can be given the next trial's
configuration. Measured in memory and on a disk.
Floor: loky calls a function with the same configurations: two warm workers, one call at a time. It
keeps no record and gives no trial a directory.
"""

from __future__ import annotations

import time

from _common import SLOTS, in_turn, median_ratio, middle, options, rate, sweep, verdict
from _trainables import Reusable, score
from joblib import Parallel, delayed

TARGET = 0.5


def reuse_rate(trials: int, *, on_disk: bool) -> float:
    """Trials per second of localtune with reused workers."""
    return rate(sweep(Reusable, trials, reuse_actors=True, on_disk=on_disk).ends)


def loky_rate(calls: int) -> float:
    """Calls per second of loky."""
    configs = [{"x": number / calls} for number in range(calls)]
    with Parallel(SLOTS, "loky", return_as="generator_unordered", batch_size=1) as parallel:
        for _ in parallel(delayed(score)(each) for each in configs[:100]):
            pass  # The workers are warm now.
        return rate([time.perf_counter() for _ in parallel(delayed(score)(it) for it in configs)])


def main() -> None:
    given = options(__doc__, trials=900, rounds=5)
    floors, in_memory, on_disk = in_turn(
        given.rounds,
        lambda: loky_rate(given.trials),
        lambda: reuse_rate(given.trials, on_disk=False),
        lambda: reuse_rate(given.trials, on_disk=True),
    )
    for label, subjects in (("in memory", in_memory), ("on a disk", on_disk)):
        verdict(
            f"reused trials per second / loky, {label}",
            median_ratio(subjects, floors),
            at_least=TARGET,
            detail=f"localtune {middle(subjects, 'trials/s')}; loky {middle(floors, 'calls/s')}",
        )


if __name__ == "__main__":
    main()
