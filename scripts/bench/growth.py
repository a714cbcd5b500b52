"""The cost of a long run: speed of its last tenth by its first, and memory per finished trial.

Neither may grow with the number of trials. Workers are reused, so that the run ends soon. The two
parts lie minutes apart, so another program that starts in between changes the ratio of their
speeds; the parent's CPU time per trial, which is shown too, tells whether it was one.

The parent's memory (proportional set size, Linux only) is read after the first tenth of the trials
and after the last one. All that waits to run is gone well before the end, and is there at the first
look: so the growth between is that of finished trials, less what waited.
"""

from __future__ import annotations

import gc
import time
from array import array
from typing import Any

from _common import options, rate, sweep, verdict
from _trainables import Counting

import localtune as tune

TARGET = 0.95
TARGET_BYTES = 2048


def own_bytes() -> int:
    """Proportional set size of this process."""
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup has no line Pss.")


class Meter(tune.Callback):
    """Notes when trials end, by the clock and in CPU time; weighs this process after some."""

    def __init__(self, looks: tuple[int, ...]) -> None:
        self._looks = looks
        self.ends = array("d")  # Small, for it is weighed, too.
        self.cpu = array("d")
        self.weights: list[int] = []

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        self.ends.append(time.perf_counter())
        self.cpu.append(time.process_time())
        if len(self.ends) in self._looks:
            self.weights.append(own_bytes())


def main() -> None:
    given = options(__doc__, trials=100_000, iterations=1)
    part = max(given.trials // 10, 2)
    looks = (part, given.trials // 2, given.trials)
    meter = Meter(looks)
    trainable = tune.with_parameters(Counting, iterations=given.iterations)
    sweep(trainable, given.trials, reuse_actors=True, callbacks=[meter])
    first, last = rate(meter.ends[:part]), rate(meter.ends[-part:])
    first_us, last_us = 1e6 / rate(meter.cpu[:part]), 1e6 / rate(meter.cpu[-part:])
    verdict(
        f"speed of the last {part:,} of {given.trials:,} trials / first",
        last / first,
        at_least=TARGET,
        detail=f"first {first:,.0f} trials/s; last {last:,.0f} trials/s; CPU of the parent "
        f"{first_us:.0f} and {last_us:.0f} us per trial",
    )
    verdict(
        "bytes in the parent per finished trial",
        (meter.weights[-1] - meter.weights[0]) / (looks[-1] - looks[0]),
        at_most=TARGET_BYTES,
        unit=" B",
        detail=", ".join(
            f"{weight / 2**20:.1f} MB after {look:,}"
            for look, weight in zip(looks, meter.weights, strict=True)
        ),
    )


if __name__ == "__main__":
    main()
