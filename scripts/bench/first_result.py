"""Time from before ``Tuner(...)`` to the first result of a trivial trial.

Measured inside a fresh interpreter that has imported ``localtune``: everything that is loaded on
first use, the template process and the first worker are in it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from _common import in_turn, median_ratio, middle, options, verdict
from import_time import start_ms

TARGET_MS = 300

SCRIPT = """
import tempfile, time
import localtune as tune

class FirstResult(tune.Callback):
    def on_trial_result(self, **info):
        print((time.perf_counter() - before) * 1000)

def report_once(config):
    tune.report({"score": 1.0})

with tempfile.TemporaryDirectory() as directory:
    before = time.perf_counter()
    tune.Tuner(
        report_once,
        run_config=tune.RunConfig(storage_path=directory, verbose=0, callbacks=[FirstResult()]),
    ).fit()
"""


def first_result_ms() -> float:
    """Milliseconds to the first result, in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def main() -> None:
    given = options(__doc__, rounds=15)
    bare, firsts = in_turn(given.rounds, lambda: start_ms("pass"), first_result_ms)
    verdict(
        "milliseconds to the first result",
        statistics.median(firsts),
        at_most=TARGET_MS,
        unit=" ms",
        detail=f"{middle(firsts, 'ms')}; {median_ratio(firsts, bare):.1f} x the start of a bare "
        f"interpreter, {middle(bare, 'ms', 1)}",
    )


if __name__ == "__main__":
    main()
