"""Copies of shared data in memory: four trials at once that share one object by with_parameters.

The most memory that the whole process tree holds at any time, above the same run with 1 MB, by the
size of the data. The proportional set size counts a page that several processes share once, in
equal parts. All processes are stopped while it is read, so that the parts add up. Linux only.
Pages are counted, not times, so one round is enough: others differ by a hundredth.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _common import middle, options, verdict

# Seconds between two looks at the memory, at least; and by the time that a look has taken, so that
# the processes have time to run.
INTERVAL_S = 0.02
FACTOR = 2.0

# argv: kind, megabytes, start method.
SCRIPT = """
import sys, tempfile, time
import localtune as tune

kind, megabytes, method = sys.argv[1], float(sys.argv[2]), sys.argv[3]

def numbers(count):
    import numpy
    values = numpy.empty(count)
    values[:] = numpy.arange(1000.0).repeat(-(-count // 1000))[:count]
    return values

def make():
    if kind == "array":
        return numbers(int(megabytes * 1e6) // 8)
    if kind == "frame":
        import pandas
        return pandas.DataFrame(numbers(int(megabytes * 1e6) // 80 * 10).reshape(-1, 10))
    if kind == "tensor":
        import torch
        return torch.ones(int(megabytes * 1e6) // 4)
    # A dict, an int, a float and a str take 330 bytes of memory.
    return [
        {"number": number, "value": number / 7, "name": f"item-{number:07d}"}
        for number in range(int(megabytes * 1e6) // 330)
    ]

def whole(data):
    if kind == "array":
        return float(data.sum())
    if kind == "frame":
        return float(data.to_numpy().sum())
    if kind == "tensor":
        return float(data.sum())
    return sum(len(each) for each in (data if kind == "whole" else data[::1000]))

class Reading(tune.Trainable):
    def setup(self, config, data):
        self.data = data
    def step(self):
        return {"sum": whole(self.data)}

class Seen(tune.Callback):
    trials = set()
    all_at = float("inf")
    def on_trial_result(self, trial, **info):
        self.trials.add(trial.trial_id)
        if len(self.trials) == 4:
            self.all_at = min(self.all_at, time.monotonic())

seen = Seen()
data = make()
print("ready", flush=True)
with tempfile.TemporaryDirectory() as directory:
    results = tune.Tuner(
        tune.with_parameters(Reading, data=data),
        tune_config=tune.TuneConfig(num_samples=4),
        run_config=tune.RunConfig(
            storage_path=directory,
            verbose=0,
            callbacks=[seen],
            # Long enough to be looked at.
            stop=lambda trial_id, result: time.monotonic() > seen.all_at + 1,
        ),
        executor=tune.ProcessExecutor(num_cpus=4, start_method=method),
    ).fit()
assert results.num_terminated == 4, results.errors
"""


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid] + [each for child in children for each in family(int(child))]


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 if it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def send_all(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def tree_bytes(root: int) -> int:
    """Memory of a process and its descendants, which are stopped meanwhile."""
    stopped: set[int] = set()
    try:
        while new := set(family(root)) - stopped:
            stopped |= new
            send_all(new, signal.SIGSTOP)
        return sum(map(pss_bytes, stopped))
    finally:
        send_all(stopped, signal.SIGCONT)


def peak_bytes(kind: str, megabytes: float, method: str) -> int:
    """The most memory of the tree of a run in a fresh interpreter, from the data's existence on."""
    command = [sys.executable, "-c", SCRIPT, kind, str(megabytes), method]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        while run.poll() is None:
            begun = time.monotonic()
            peak = max(peak, tree_bytes(run.pid))
            time.sleep(max(INTERVAL_S, FACTOR * (time.monotonic() - begun)))
    if run.returncode:
        sys.exit(f"The run with a {kind} failed.")
    return peak


def measure(kind: str, megabytes: int, method: str, rounds: int, target: float | None) -> None:
    """Prints the copies of one kind of data."""
    copies = []
    for _ in range(rounds):
        without = peak_bytes(kind, 1, method)
        copies.append((peak_bytes(kind, megabytes, method) - without) / (megabytes * 1e6))
    what = f"copies of the {kind} of {megabytes} MB, {method}"
    if target is None:
        print(f"{'shared_data':<13} {what:<44} {middle(copies, 'copies', 2)}, no target")
        return
    verdict(what, statistics.median(copies), at_most=target, detail=middle(copies, "copies", 2))


def main() -> None:
    given = options(__doc__, rounds=1, megabytes=400, only="")
    cases = [("array", 2.1, 2.2), ("frame", 2.1, 2.2)]
    if importlib.util.find_spec("torch") is not None:
        cases.append(("tensor", 2.1, 2.2))
    for kind, template, spawn in cases:
        if given.only in ("", kind):
            measure(kind, given.megabytes, "template", given.rounds, template)
            measure(kind, given.megabytes, "spawn", given.rounds, spawn)
    if given.only in ("", "list"):
        measure("list", given.megabytes // 2, "template", given.rounds, 2.2)
        measure("whole", given.megabytes // 2, "template", given.rounds, None)


if __name__ == "__main__":
    main()
