"""How large a machine one parent feeds: the share of the time in which 64 and 256 slots compute.

The trials replay recorded networks, whose steps took 17 ms each on average (``--factor 1``), and
the same with steps of ten times that. The workers exist only as their messages, so that a machine
of any size can be asked for (``_paced.py``). Not counted is what the parent spends to start
processes, and to wake up.
"""

from __future__ import annotations

import os

from _common import options, scratch_dir, verdict
from _paced import Meter, PacedExecutor, stretched

import localtune as tune
from localtune.testing.curves import digits_curves

TARGET = 0.90
MEAN_STEP_S = 0.017


def fed(slots: int, factor: float, trials: int) -> tuple[float, float]:
    """Returns the share of the time in which the slots compute, and the results per second."""
    curves = digits_curves()
    make = stretched(curves, factor)
    executor = PacedExecutor(make, num_cpus=slots)
    # The steady state: from the first tenth of the results to the last three tenths.
    meter = Meter(executor.work_clock, trials * 5, trials * 35)
    with scratch_dir() as directory:
        results = tune.Tuner(
            make,
            param_space=curves.table_space,
            tune_config=tune.TuneConfig(num_samples=trials, metric="accuracy", mode="max"),
            run_config=tune.RunConfig(
                storage_path=os.fspath(directory), verbose=0, callbacks=[meter]
            ),
            executor=executor,
        ).fit()
    assert results.num_terminated == trials
    return meter.steps_s / (slots * meter.elapsed_s), meter.results_per_s


def main() -> None:
    given = options(__doc__, rounds=1, factor=1)
    for slots in (64, 256):
        for factor in (given.factor, 10 * given.factor):
            runs = [fed(slots, factor, 3 * slots) for _ in range(given.rounds)]
            share, rate = sorted(runs)[len(runs) // 2]
            verdict(
                f"{slots} slots, steps of {MEAN_STEP_S * factor:.2g} s: share computing",
                share,
                at_least=TARGET,
                detail=f"{rate:,.0f} results/s; all slots would give "
                f"{slots / MEAN_STEP_S / factor:,.0f}",
            )
    _, most = fed(256, 0.0, 256)
    print(f"{'':<13} at most {most:,.0f} results/s, if steps take no time")


if __name__ == "__main__":
    main()
