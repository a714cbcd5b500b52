"""Finds what a trial leaves: processes, threads, and files outside its own directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from localtune.running.bench import Bench, Worker
from localtune.running.probe import leftovers_path
from localtune.tools.check.report import Finding, passed, warning
from localtune.utils.text import one_line

# Made by tools and by Python itself.
_NOT_OURS = frozenset({"__pycache__", ".pytest_cache", ".coverage"})


def snapshot(directory: str) -> dict[str, tuple[int, int]]:
    """Returns {name: (time of the last change, size)} of the entries of a directory."""
    found = {}
    try:
        with os.scandir(directory) as entries:
            for each in entries:
                if each.name not in _NOT_OURS:
                    status = each.stat(follow_symlinks=False)
                    found[each.name] = (status.st_mtime_ns, status.st_size)
    except OSError:
        pass  # It has gone, or something in it went just now: there is nothing to compare.
    return found


def check_leftovers(bench: Bench, worker: Worker, *, is_function: bool) -> Iterator[Finding]:
    """Checks which processes, threads and temporary files a stopped worker has left.

    Args:
        bench: Started the worker.
        worker: The worker, which has ended.
        is_function: Whether it ran a function.
    """
    left: dict[str, list[str]] = {}
    if worker.pid is not None:
        try:
            with open(leftovers_path(bench.directory, worker.pid), encoding="utf-8") as file:
                left = json.load(file)
        except OSError:
            pass  # The trainable ended its process itself.
    where = "a `finally` block" if is_function else "cleanup()"
    found = []
    for kind, noun in (("processes", "process"), ("threads", "thread")):
        names = left.get(kind)
        if names:
            found.append(
                warning(
                    "leftovers",
                    f"{noun.capitalize()} left running when the trial has stopped: "
                    f"{', '.join(one_line(each) for each in names)}.",
                    f"End it in {where}: in a reused worker they add up.",
                )
            )
    files = sorted(os.listdir(worker.temporary_dir))
    if files:
        found.append(
            warning(
                "leftovers",
                f"Left in the directory for temporary files: {', '.join(files[:5])}.",
                "A sweep would fill the disk. Use tempfile.TemporaryDirectory() in a with block, "
                "or write below the trial's directory.",
            )
        )
    yield from found
    if not found:
        yield passed("leftovers", "No processes, threads or temporary files are left.")


def check_directory(directory: str, before: dict[str, tuple[int, int]]) -> Iterator[Finding]:
    """Checks which entries of a directory have changed since a snapshot of it.

    Args:
        directory: The directory.
        before: From :func:`snapshot`.
    """
    names = _changed(before, directory)
    if names:
        yield warning(
            "files",
            f"While it ran, these changed in {directory}: {', '.join(names[:5])}.",
            "All trials write there at the same time, if it was the trainable. Write with relative "
            "paths, which lie in the trial's directory.",
        )


def _changed(before: dict[str, tuple[int, int]], directory: str) -> list[str]:
    return sorted(name for name, state in snapshot(directory).items() if before.get(name) != state)
