"""Processor time of the parent per result while 256 trials live, against 2; and 2,000 at once.

All trials of a run start before the first of them reports, and report equally often with pauses in
between, so that the parent gets the same number of results in the same time. Counted is the
processor time from the first tenth of the results to the last one: starts and ends are claims of
their own (``fresh_trials.py``).

``--huge 2000`` then lets so many trials live at once. They report once (about a minute, 7 GB of
memory); 0 leaves that out.
"""

from __future__ import annotations

import resource
import time
from typing import Any

from _common import in_turn, median_ratio, middle, options, scratch_dir, sweep, verdict
from _trainables import wait_for_all

import localtune as tune

TARGET = 1.15
# Of all trials together.
RESULTS_PER_S = 500


class Meter(tune.Callback):
    """Reads the processor time of this process after a tenth, and nine tenths, of the results."""

    def __init__(self, results: int) -> None:
        self._marks = (results // 10, results * 9 // 10)
        self._count = 0
        self._readings: list[float] = []

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        self._count += 1
        if self._count in self._marks:
            self._readings.append(time.process_time())

    @property
    def ms_per_result(self) -> float:
        """Milliseconds of processor time per result between the two readings."""
        begun, ended = self._readings
        return (ended - begun) / (self._marks[1] - self._marks[0]) * 1e3


def result_ms(live: int, results: int) -> float:
    """Milliseconds of processor time of this process per result, while so many trials live."""
    meter = Meter(results)
    with scratch_dir() as directory:
        train = tune.with_parameters(
            wait_for_all,
            directory=str(directory),
            count=live,
            reports=results // live,
            pause_s=live / RESULTS_PER_S,
        )
        sweep(train, live, slots=live, callbacks=[meter])
    return meter.ms_per_result


def trial_ms(live: int) -> float:
    """Milliseconds of processor time of this process per trial; all of them live at once."""
    with scratch_dir() as directory:
        train = tune.with_parameters(wait_for_all, directory=str(directory), count=live)
        began = time.process_time()
        sweep(train, live, slots=live)
        return (time.process_time() - began) / live * 1e3


def main() -> None:
    given = options(__doc__, many=256, few=2, results=5120, rounds=5, huge=2000)
    many, few = in_turn(
        given.rounds,
        lambda: result_ms(given.many, given.results),
        lambda: result_ms(given.few, given.results),
    )
    verdict(
        f"parent's time per result, {given.many:,} / {given.few:,} trials live",
        median_ratio(many, few),
        at_most=TARGET,
        detail=f"{given.many:,}: {middle(many, 'ms', 3)}; {given.few:,}: {middle(few, 'ms', 3)}",
    )
    if given.huge:
        each_ms = trial_ms(given.huge)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{'':<13} {given.huge:,} trials lived at once and ended well: {each_ms:.1f} ms of the "
            f"parent's time per trial; at most {peak_mb:.0f} MB resident"
        )


if __name__ == "__main__":
    main()
