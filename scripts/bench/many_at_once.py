"""Processor time of the parent per result while 256 trials live, against 2; and 2,000 at once.

::

      run with 256 trials:  |reports|       |reports|       |reports|
      run with 2 trials:    |       |reports|       |reports|       |reports|   window_s each

Both runs, each with a parent of its own, live at the same time and take turns, so that they meet
the same machine. In its windows a run gets so many results per second, whatever the number of its
trials. Starts and ends are claims of their own (``fresh_trials.py``).

``--huge 2000`` then lets so many trials live at once. They report once (about a minute, 7 GB of
memory); 0 leaves that out.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

from _common import median_ratio, middle, options, scratch_dir, sweep, verdict
from _trainables import report_in_windows, wait_for_all

import localtune as tune

TARGET = 1.15
# Of all trials of a run together.
RESULTS_PER_S = 500


class Meter(tune.Callback):
    """Reads the processor time of this process at the first and the last result of each window."""

    def __init__(self) -> None:
        # {window: (time at its first result, time at its last one, results between the two)}
        self.readings: dict[int, tuple[float, float, int]] = {}

    def on_trial_result(self, *args: Any, result: dict[str, Any], **info: Any) -> None:
        now = time.process_time()
        begun, _, count = self.readings.get(result["window"], (now, now, -1))
        self.readings[result["window"]] = begun, now, count + 1

    def ms_per_result(self) -> list[float]:
        """Milliseconds of processor time per result, of each window."""
        return [
            (ended - begun) / count * 1e3
            for _, (begun, ended, count) in sorted(self.readings.items())
        ]


def run_in_turns(live: int, **windows: Any) -> None:
    """Runs so many trials, which report in windows; prints the milliseconds of each window."""
    meter = Meter()
    train = tune.with_parameters(report_in_windows, pause_s=live / RESULTS_PER_S, **windows)
    sweep(train, live, slots=live, callbacks=[meter])
    print(json.dumps(meter.ms_per_result()))


def compare(many: int, few: int, pairs: int, window_s: float) -> tuple[list[float], list[float]]:
    """Lets both runs take turns; returns milliseconds per result of either, by pair of windows."""
    runs = []
    with scratch_dir() as directory:
        for first, live in enumerate((many, few)):
            settings = {
                "live": live,
                "directory": str(directory),
                "count": many + few,
                "window_s": window_s,
                "first": first,
                "windows": 2 * (pairs + 1),
            }
            command = [sys.executable, __file__, json.dumps(settings)]
            runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        answers = [run.communicate()[0] for run in runs]
    if any(run.returncode for run in runs):
        sys.exit("A run failed.")
    # The first pair warms caches.
    of_many, of_few = (json.loads(answer)[1:] for answer in answers)
    return of_many, of_few


def trial_ms(live: int) -> float:
    """Milliseconds of processor time of this process per trial; all of them live at once."""
    with scratch_dir() as directory:
        train = tune.with_parameters(wait_for_all, directory=str(directory), count=live)
        began = time.process_time()
        sweep(train, live, slots=live)
        return (time.process_time() - began) / live * 1e3


def main() -> None:
    given = options(__doc__, many=256, few=2, pairs=9, window_ms=2000, huge=2000)
    many, few = compare(given.many, given.few, given.pairs, given.window_ms / 1e3)
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
    if sys.argv[1:2] and sys.argv[1].startswith("{"):
        run_in_turns(**json.loads(sys.argv[1]))
    else:
        main()
