"""Memory of a run with two idle workers: parent, guard, base, template and workers together.

The proportional set size counts a page that several processes share once, in equal parts. Linux
only: it is read from ``/proc/<pid>/smaps_rollup``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from _common import middle, options, verdict

TARGET_MB = 80

SCRIPT = """
import json, os, pathlib, tempfile
import localtune as tune

def family(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [each for child in children for each in family(int(child))]

def pss_mb(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024

class Idle(tune.Trainable):
    def step(self):
        return {"score": 1.0}

class Weigh(tune.Callback):
    seen = set()
    weights = None
    def on_trial_result(self, trial, **info):
        self.seen.add(trial.trial_id)
        if len(self.seen) == 2 and self.weights is None:
            self.weights = [pss_mb(pid) for pid in family(os.getpid())]

weigh = Weigh()
with tempfile.TemporaryDirectory() as directory:
    tune.Tuner(
        Idle,
        tune_config=tune.TuneConfig(num_samples=2),
        run_config=tune.RunConfig(
            storage_path=directory,
            verbose=0,
            callbacks=[weigh],
            stop=lambda trial_id, result: weigh.weights is not None,
        ),
        executor=tune.ProcessExecutor(num_cpus=2),
    ).fit()
print(json.dumps(weigh.weights))
"""


def weights_mb() -> list[float]:
    """Proportional set sizes of parent, guard, base, template and two workers."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, stdout=subprocess.PIPE, text=True
    )
    weights: list[float] = json.loads(done.stdout)
    if len(weights) != 6:
        sys.exit(f"Expected parent, guard, base, template, two workers, but found {len(weights)}.")
    return weights


def main() -> None:
    given = options(__doc__, rounds=5)
    rounds = [weights_mb() for _ in range(given.rounds)]
    totals = [sum(weights) for weights in rounds]
    parent, guard, base, template, *workers = (
        statistics.median(each) for each in zip(*rounds, strict=True)
    )
    verdict(
        "MB of parent, guard, base, template, two workers",
        statistics.median(totals),
        at_most=TARGET_MB,
        unit=" MB",
        detail=f"{middle(totals, 'MB', 1)}: parent {parent:.1f}, guard {guard:.1f}, "
        f"base {base:.1f}, template {template:.1f}, workers "
        + ", ".join(f"{worker:.1f}" for worker in workers),
    )


if __name__ == "__main__":
    main()
