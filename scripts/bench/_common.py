"""What the benchmarks share: rounds, medians, the machine, the verdict.

Floor and subject are measured in turn, several rounds in one run, so that both see the same
machine; the ratio is the median of the rounds' ratios. Times are never compared with times of
another run.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# As in an ordinary environment: modules are compiled once, not in each process.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In memory, where that is possible: what a disk does after thousands of deletions is not asked.
if os.path.isdir("/dev/shm"):
    os.environ.setdefault("TMPDIR", "/dev/shm")

import localtune as tune  # noqa: E402

SLOTS = 2


def options(description: str | None, **defaults: int | str) -> argparse.Namespace:
    """Command line of a benchmark: one whole number, or text, for each of ``defaults``."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    for name, default in defaults.items():
        told = f"(default: {default if default != '' else 'none'})"
        parser.add_argument(f"--{name}", type=type(default), default=default, help=told)
    return parser.parse_args()


@contextlib.contextmanager
def scratch_dir(*, on_disk: bool = False) -> Iterator[Path]:
    """A directory that is removed at the end: one on a disk at the end of this process.

    After thousands of deletions, ext4 takes much longer to create files, which would be charged to
    the rounds that follow.

    Args:
        on_disk: Whether it stands on a disk, in /var/tmp; else it is in memory, where that is
            possible.
    """
    if on_disk:
        on_disk_dir = tempfile.mkdtemp(prefix="localtune-bench-", dir="/var/tmp")
        atexit.register(shutil.rmtree, on_disk_dir)
        yield Path(on_disk_dir)
        return
    with tempfile.TemporaryDirectory(prefix="localtune-bench-") as directory:
        yield Path(directory)


def in_turn(rounds: int, *measurements: Callable[[], float]) -> list[list[float]]:
    """Calls the measurements one after the other, ``rounds`` times; their values, by measurement.

    A first call of each warms caches and is not counted.
    """
    for measure in measurements:
        measure()
    values: list[list[float]] = [[] for _ in measurements]
    for _ in range(rounds):
        for measure, so_far in zip(measurements, values, strict=True):
            so_far.append(measure())
    return values


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def middle(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """Median and range of values, to be read by people."""
    low, mid, high = (
        f"{value:,.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{mid} {unit} ({low} to {high})"


def verdict(
    what: str,
    value: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    detail: str = "",
) -> None:
    """Prints one claim: its value, its target, and whether it is met."""
    name = Path(sys.argv[0]).stem
    if at_least is not None:
        passed, target = value >= at_least, f">= {at_least:g}{unit}"
    else:
        assert at_most is not None
        passed, target = value <= at_most, f"<= {at_most:g}{unit}"
    status = "PASS" if passed else "below target"
    print(f"{name:<13} {what:<44} {value:8.2f}{unit}  target {target:<9}  {status}")
    if detail:
        print(f"{'':<13} {detail}")


def machine() -> str:
    """One line about the machine."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{platform.system()} {platform.machine()}, {cpus} CPUs, Python {platform.python_version()}"
    )


# -- sweeps ----------------------------------------------------------------------------------------


class Stopwatch(tune.Callback):
    """Notes when each result came and each trial ended, in seconds."""

    def __init__(self) -> None:
        self.results = array("d")
        self.ends = array("d")  # Small: some benchmarks weigh this process.

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        self.results.append(time.perf_counter())

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        self.ends.append(time.perf_counter())


def sweep(trainable: Any, trials: int, **tune_options: Any) -> Stopwatch:
    """Runs a sweep with all file loggers in a scratch directory; checks that no trial failed.

    Args:
        trainable: What the trials run.
        trials: Number of trials.
        **tune_options: For ``TuneConfig``; and ``param_space``, ``slots``, ``callbacks``, and
            ``on_disk`` (see :func:`scratch_dir`).
    """
    stopwatch = Stopwatch()
    on_disk = tune_options.pop("on_disk", False)
    slots = tune_options.pop("slots", SLOTS)
    space = tune_options.pop("param_space", {"x": tune.uniform(0.0, 1.0)})
    callbacks = [stopwatch, *tune_options.pop("callbacks", [])]
    with scratch_dir(on_disk=on_disk) as directory:
        results = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(num_samples=trials, **tune_options),
            run_config=tune.RunConfig(storage_path=directory, verbose=0, callbacks=callbacks),
            executor=tune.ProcessExecutor(num_cpus=slots),
        ).fit()
    if results.num_terminated != trials:
        sys.exit(
            f"{trials - results.num_terminated} of {trials} trials failed: {results.errors[:1]}"
        )
    return stopwatch


def rate(times: Sequence[float]) -> float:
    """Events per second, from the first to the last: what comes before the first is start-up."""
    return (len(times) - 1) / (times[-1] - times[0])
