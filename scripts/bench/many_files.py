"""A checkpoint of 3,000 files of 2 kB, against a plain write of them and one sync.

``saved`` is what a class writes in ``save_checkpoint``; ``reported`` is the copy that ``report()``
makes of a directory that a function has written before. On a disk, and in memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from _common import in_turn, median_ratio, middle, options, scratch_dir, verdict

from localtune.checkpoint import Checkpoint
from localtune.trainable.saving import persist_checkpoint, write_checkpoint
from localtune.trial.trial_info import StorageContext
from localtune.utils.file_systems import sync_file_system

CONTENT = os.urandom(2048)


def write_files(directory: str, count: int) -> None:
    for number in range(count):
        with open(os.path.join(directory, f"file_{number}"), "wb") as file:
            file.write(CONTENT)


def sync(directory: Path) -> None:
    if not sync_file_system(str(directory)):
        os.sync()


def timed(action: Callable[[], object], directory: Path) -> float:
    """Seconds that it takes, with nothing left to write from before."""
    sync(directory)
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def measure(place: str, scratch: Path, rounds: int, count: int) -> None:
    """Prints both claims for one place."""
    trial, source = scratch / "trial", scratch / "source"
    trial.mkdir()
    source.mkdir()
    write_files(str(source), count)
    storage = StorageContext(str(scratch), str(trial))
    numbers = iter(range(10**6))

    def plain() -> float:
        directory = scratch / f"plain_{next(numbers)}"

        def write() -> None:
            directory.mkdir()
            write_files(str(directory), count)
            sync(scratch)

        return timed(write, scratch)

    def saved() -> float:
        def save() -> None:
            write_checkpoint(storage, lambda path: write_files(path, count))

        return timed(save, scratch)

    def reported() -> float:
        return timed(lambda: persist_checkpoint(storage, Checkpoint(str(source))), scratch)

    floor, *subjects = in_turn(rounds, plain, saved, reported)
    for name, values in zip(("saved", "reported"), subjects, strict=True):
        worst = max(a / b for a, b in zip(values, floor, strict=True))
        verdict(
            f"{count:,} files {name} / plain, {place}",
            median_ratio(values, floor),
            at_most=1.3,
            detail=f"{middle(values, 's', 2)}; plain {middle(floor, 's', 2)}; "
            f"largest ratio {worst:.2f}, target <= 2",
        )


def main() -> None:
    given = options(__doc__, rounds=5, files=3000)
    for place, on_disk in (("disk", True), ("memory", False)):
        with scratch_dir(on_disk=on_disk) as scratch:
            measure(place, scratch, given.rounds, given.files)


if __name__ == "__main__":
    main()
