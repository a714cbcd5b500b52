"""A trainable that reports the processes and threads that it leaves in its worker."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from localtune.trainable.trainable import Trainable

# Helpers of the standard library that live as long as the process does.
_HELPERS = ("resource_tracker", "forkserver")


def probed(trainable: type[Trainable]) -> type[Trainable]:
    """Returns a subclass of the same name that writes :func:`leftovers_path` in ``stop``.

    Args:
        trainable: The class; it is not changed.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        # The template may have cached the directory before this trial got one of its own.
        tempfile.tempdir = None
        self._threads_before = {thread.ident for thread in threading.enumerate()}
        trainable.__init__(self, *args, **kwargs)

    def stop(self: Any) -> None:
        trainable.stop(self)
        write_leftovers(self._storage.experiment_dir, self._threads_before)

    same = {name: getattr(trainable, name) for name in ("__module__", "__qualname__", "__doc__")}
    members = {**same, "__init__": __init__, "stop": stop}
    made: Any = type(trainable)
    return cast("type[Trainable]", made(trainable.__name__, (trainable,), members))


def leftovers_path(directory: str, pid: int) -> str:
    """Returns the path of the file that a worker writes.

    Args:
        directory: Directory of the experiment.
        pid: Process id of the worker.
    """
    return os.path.join(directory, f"left_by_{pid}.json")


def write_leftovers(directory: str, threads_before: set[int | None]) -> None:
    """Writes a file that names the processes and threads that user code has left running.

    Args:
        directory: Directory of the experiment.
        threads_before: Identifiers of the threads that ran before user code did.
    """
    left = {
        "processes": _processes(),
        "threads": [
            thread.name
            for thread in threading.enumerate()
            if thread.ident not in threads_before and thread.is_alive()
        ],
    }
    with open(leftovers_path(directory, os.getpid()), "w", encoding="utf-8") as file:
        json.dump(left, file)


def _processes() -> list[str]:
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline()) or process.name()
            if process.status() != psutil.STATUS_ZOMBIE and not any(h in line for h in _HELPERS):
                found.append(line)
        except psutil.Error:
            continue  # It has just ended.
    return found
