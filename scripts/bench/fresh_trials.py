"""Trials per second, a fresh process for each, against a bare fork loop.

Subject: a sweep of a function that reports once; two slots, result.json and progress.csv written.
Floor: what no runner with a process per trial can do without. A small process forks a child per
request; the child answers one message over its pipe and exits; two in flight.

    parent --- unix socket: pipe end ---> template
       |                                     | fork
       +------ pipe: ping, pong, EOF ------- child
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from _common import SLOTS, in_turn, median_ratio, middle, options, rate, sweep, verdict
from _trainables import report_once

TARGET = 0.40


def localtune_rate(trials: int) -> float:
    """Fresh trials per second of localtune."""
    return rate(sweep(report_once, trials).ends)


# -- the floor -------------------------------------------------------------------------------------


def floor_rate(trials: int) -> float:
    """Forked children per second."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = Path(__file__).with_name("_fork_floor.py")
    command = [sys.executable, str(script), str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=(theirs.fileno(),)) as template:
        theirs.close()
        ends = _fork_and_greet(control, trials)
        control.close()
        template.wait()
    return rate(ends)


def _fork_and_greet(control: socket.socket, trials: int) -> list[float]:
    """Keeps :data:`SLOTS` children alive until ``trials`` have ended; when each of them did."""
    ends: list[float] = []
    with selectors.DefaultSelector() as selector:
        started = 0
        while len(ends) < trials:
            while started - len(ends) < SLOTS and started < trials:
                selector.register(_start(control), selectors.EVENT_READ)
                started += 1
            for key, _ in selector.select():
                connection: Any = key.fileobj
                try:
                    connection.recv()
                except EOFError:
                    selector.unregister(connection)
                    connection.close()
                    ends.append(time.perf_counter())
    return ends


def _start(control: socket.socket) -> Connection:
    ours, theirs = Pipe()
    socket.send_fds(control, [b"fork"], [theirs.fileno()])
    theirs.close()
    ours.send({"config": {"x": 0.5}})
    return ours


def main() -> None:
    given = options(__doc__, trials=300, rounds=5)
    floors, subjects = in_turn(
        given.rounds, lambda: floor_rate(given.trials), lambda: localtune_rate(given.trials)
    )
    verdict(
        "fresh trials per second / bare fork loop",
        median_ratio(subjects, floors),
        at_least=TARGET,
        detail=f"localtune {middle(subjects, 'trials/s')}; floor {middle(floors, 'forks/s')}",
    )


if __name__ == "__main__":
    main()
