"""Iterations per second of one trial, against a bare ping-pong over a pipe.

Subject: a function that reports in a loop: report, result to the parent, decision, next. Both
result files are written. Floor: a small dict to a forked child and back over
``multiprocessing.Pipe``.

Parent and child are bound to two CPUs, in both: left alone, the system puts them now on one, now
on two, and the bare ping-pong alone then differs by a factor of four from run to run. Two is what
a trial that computes has. ``--cpus 1`` binds them to one.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from _common import Stopwatch, in_turn, median_ratio, middle, options, rate, sweep, verdict

import localtune as tune

TARGET = 0.50


@contextmanager
def bound_to(cpu: int) -> Iterator[None]:
    """Binds this process to one CPU for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Binding(tune.Callback):
    """Binds this process and the trial's to their CPUs when the worker is ready."""

    def __init__(self, ours: int, theirs: int) -> None:
        self._ours, self._theirs = ours, theirs

    def on_trial_start(self, *args: Any, trial: Any, **info: Any) -> None:
        os.sched_setaffinity(0, {self._ours})
        os.sched_setaffinity(trial.last_result["pid"], {self._theirs})


def localtune_rate(iterations: int, ours: int, theirs: int) -> float:
    """Iterations per second of localtune."""

    def report_often(config: dict[str, Any]) -> None:
        for step in range(iterations):
            tune.report({"score": config["x"] * step})

    before = os.sched_getaffinity(0)
    try:
        watch: Stopwatch = sweep(report_often, 1, slots=1, callbacks=[Binding(ours, theirs)])
    finally:
        os.sched_setaffinity(0, before)
    return rate(watch.results)


def answer_all(connection: Connection, cpu: int) -> None:
    """The child of the floor."""
    os.sched_setaffinity(0, {cpu})
    while (command := connection.recv()) is not None:
        connection.send({"score": 0.5 * command["step"]})


def floor_rate(iterations: int, ours: int, theirs: int) -> float:
    """Ping-pongs per second."""
    context = multiprocessing.get_context("fork")
    connection, far_end = context.Pipe()
    child = context.Process(target=answer_all, args=(far_end, theirs))
    child.start()
    times = []
    with bound_to(ours):
        for step in range(iterations):
            connection.send({"step": step})
            connection.recv()
            times.append(time.perf_counter())
    connection.send(None)
    child.join()
    return rate(times)


def main() -> None:
    given = options(__doc__, iterations=3000, rounds=7, cpus=2)
    cpus = sorted(os.sched_getaffinity(0))[: given.cpus]
    ours, theirs = cpus[0], cpus[-1]
    floors, subjects = in_turn(
        given.rounds,
        lambda: floor_rate(given.iterations, ours, theirs),
        lambda: localtune_rate(given.iterations, ours, theirs),
    )
    verdict(
        f"iterations per second / bare ping-pong, {len(cpus)} CPUs",
        median_ratio(subjects, floors),
        at_least=TARGET,
        detail=f"localtune {middle(subjects, 'it/s')}; floor {middle(floors, 'round trips/s')}",
    )


if __name__ == "__main__":
    main()
