"""Iterations per second of one trial, against a bare ping-pong over a pipe.

Subject: a function that reports in a loop: report, result to the parent, decision, next. Both
result files are written. Floor: a small dict to a forked child and back over
``multiprocessing.Pipe``.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import localtune as tune
from _common import in_turn, median_ratio, middle, options, rate, sweep, verdict

TARGET = 0.50


def localtune_rate(iterations: int) -> float:
    """Iterations per second of localtune."""

    def report_often(config: dict[str, Any]) -> None:
        for step in range(iterations):
            tune.report({"score": config["x"] * step})

    return rate(sweep(report_often, 1, slots=1).results)


def answer_all(connection: Connection) -> None:
    """The child of the floor."""
    while (command := connection.recv()) is not None:
        connection.send({"score": 0.5 * command["step"]})


def floor_rate(iterations: int) -> float:
    """Ping-pongs per second."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=answer_all, args=(theirs,))
    child.start()
    times = []
    for step in range(iterations):
        ours.send({"step": step})
        ours.recv()
        times.append(time.perf_counter())
    ours.send(None)
    child.join()
    return rate(times)


def main() -> None:
    given = options(__doc__, iterations=3000, rounds=5)
    floors, subjects = in_turn(
        given.rounds, lambda: floor_rate(given.iterations), lambda: localtune_rate(given.iterations)
    )
    verdict(
        "iterations per second / bare pipe ping-pong",
        median_ratio(subjects, floors),
        at_least=TARGET,
        detail=f"localtune {middle(subjects, 'it/s')}; floor {middle(floors, 'round trips/s')}",
    )


if __name__ == "__main__":
    main()
