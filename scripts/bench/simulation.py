"""A simulated sweep of 50,000 iterations: what the controller alone costs.

1,000 trials on 8 virtual CPUs replay recorded curves of 50 iterations each, in this process: no
worker, no file. The figure is processor time. What replaying the curves takes without any
controller is shown too.
"""

from __future__ import annotations

import time

from _common import in_turn, median_ratio, middle, options, verdict

from localtune.testing.curves import Curves, digits_curves
from localtune.testing.simulation import simulate

TARGET_S = 10.0


def simulated(curves: Curves, trials: int) -> float:
    """Processor seconds that the sweep takes."""
    started = time.process_time()
    result = simulate(
        curves.trainable,
        curves.table_space,
        metric="accuracy",
        mode="max",
        num_samples=trials,
        num_cpus=8,
    )
    seconds = time.process_time() - started
    assert result.iterations == trials * 50
    return seconds


def replayed(curves: Curves, trials: int) -> float:
    """Processor seconds that the same number of steps takes by themselves."""
    started = time.process_time()
    for number in range(trials):
        trainable = curves.trainable({"row": number % len(curves)})
        while not trainable.step()["done"]:
            pass
    return time.process_time() - started


def main() -> None:
    given = options(__doc__, trials=1_000, rounds=3)
    curves = digits_curves()
    subject, floor = in_turn(
        given.rounds,
        lambda: simulated(curves, given.trials),
        lambda: replayed(curves, given.trials),
    )
    iterations = given.trials * 50
    verdict(
        f"CPU seconds of {iterations:,} simulated iterations",
        sorted(subject)[len(subject) // 2],
        at_most=TARGET_S,
        unit=" s",
        detail=f"{middle([iterations / each for each in subject], 'iterations/s')}; steps alone "
        f"{middle(floor, 's', 2)}, ratio {median_ratio(subject, floor):.0f}",
    )


if __name__ == "__main__":
    main()
