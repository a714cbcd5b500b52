"""The guard of a SpawnLauncher: ends the workers of a parent that died.

A small process beside the workers that were started as fresh interpreters. It reads lines
``+g123`` (a worker that leads process group 123), ``+p123`` (one without a group) and ``-g123``
(ended) from its input. When the input ends, it kills the workers that are left.
"""

from __future__ import annotations

import signal
from typing import Any

from localtune.utils.processes import end_marked, kill_tree
from localtune.worker.signals import reset_signals


def main(input_fd: int, settings: dict[str, Any]) -> None:
    """Entry of the guard process.

    Args:
        input_fd: Descriptor of the input.
        settings: ``workers`` are those that have started already, ``{pid: whether it leads a
            group}``. At the end, processes with the ``mark`` are killed and ``private_dir`` is
            removed.
    """
    reset_signals()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    workers: dict[int, bool] = settings["workers"]
    with open(input_fd, encoding="ascii") as lines:
        for line in lines:
            sign, kind, pid = line[0], line[1], int(line[2:])
            if sign == "+":
                workers[pid] = kind == "g"
            else:
                workers.pop(pid, None)
    for pid, group in workers.items():
        kill_tree(pid, group=group)
    end_marked(settings["mark"])
    from localtune.utils.private_tree import remove_private

    remove_private(settings["private_dir"])
