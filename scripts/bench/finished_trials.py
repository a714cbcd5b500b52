"""Memory that a finished trial keeps in the parent.

The parent's memory is read while the run goes on, after the first tenth of the trials and after the
last one; both with workers reused, so that the run ends soon. Proportional set size, Linux only.
"""

from __future__ import annotations

import gc
from typing import Any

from _common import options, sweep, verdict
from _trainables import Counting

import localtune as tune

TARGET_BYTES = 2048


def own_bytes() -> int:
    """Proportional set size of this process."""
    gc.collect()
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup has no line Pss.")


class Weigh(tune.Callback):
    """Weighs this process when so many trials have ended."""

    def __init__(self, after: list[int]) -> None:
        self._after = after
        self._ended = 0
        self.weights: list[int] = []

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        self._ended += 1
        if self._ended in self._after:
            self.weights.append(own_bytes())


def main() -> None:
    given = options(__doc__, trials=10_000, iterations=1)
    # All that waits to run is gone well before the end, and is there at the first look: so the
    # growth between is that of finished trials, less what waited.
    looks = [given.trials // 10, given.trials // 2, given.trials]
    weigh = Weigh(looks)
    trainable = tune.with_parameters(Counting, iterations=given.iterations)
    sweep(trainable, given.trials, reuse_actors=True, callbacks=[weigh])
    first, _, last = weigh.weights
    verdict(
        "bytes in the parent per finished trial",
        (last - first) / (looks[2] - looks[0]),
        at_most=TARGET_BYTES,
        unit=" B",
        detail=", ".join(
            f"{weight / 2**20:.1f} MB after {look:,}"
            for look, weight in zip(looks, weigh.weights, strict=True)
        ),
    )


if __name__ == "__main__":
    main()
