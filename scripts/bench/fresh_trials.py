"""Trials per second, a fresh process for each, against a bare fork loop.

Subject: a sweep of a function that reports once; two slots, result.json and progress.csv written.
Floor: what no runner with a process per trial can do without. A small process forks a child per
request; the child answers one message over its pipe and exits; two in flight. Files are half of
the cost on a disk, so the children of the floor on a disk each make a directory and write two
small files in it.

    parent --- unix socket: pipe end ---> template
       |                                     | fork
       +------ pipe: ping, pong, EOF ------- child [--> directory, two files]
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

from _common import (
    SLOTS,
    in_turn,
    median_ratio,
    middle,
    options,
    rate,
    scratch_dir,
    sweep,
    verdict,
)
from _trainables import report_once

TARGET_IN_MEMORY = 0.42
TARGET_ON_DISK = 0.5


def localtune_rate(trials: int, *, on_disk: bool = False) -> float:
    """Fresh trials per second of localtune."""
    return rate(sweep(report_once, trials, on_disk=on_disk).ends)


# -- the floor -------------------------------------------------------------------------------------


def floor_rate(trials: int) -> float:
    """Forked children per second."""
    return _floor_rate(trials, "")


def floor_rate_on_disk(trials: int) -> float:
    """Forked children per second that make a directory and two files each."""
    with scratch_dir(on_disk=True) as directory:
        return _floor_rate(trials, str(directory))


def _floor_rate(trials: int, directory: str) -> float:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = Path(__file__).with_name("_fork_floor.py")
    command = [sys.executable, str(script), str(theirs.fileno()), directory]
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
    trials = given.trials
    floors, subjects = in_turn(
        given.rounds, lambda: floor_rate(trials), lambda: localtune_rate(trials)
    )
    _tell("fresh trials/s in memory / bare fork loop", floors, subjects, TARGET_IN_MEMORY)
    floors, subjects = in_turn(
        given.rounds,
        lambda: floor_rate_on_disk(trials),
        lambda: localtune_rate(trials, on_disk=True),
    )
    _tell("fresh trials/s on a disk / forks that write", floors, subjects, TARGET_ON_DISK)


def _tell(what: str, floors: list[float], subjects: list[float], target: float) -> None:
    verdict(
        what,
        median_ratio(subjects, floors),
        at_least=target,
        detail=f"localtune {middle(subjects, 'trials/s')}; floor {middle(floors, 'forks/s')}",
    )


if __name__ == "__main__":
    main()
