"""What the benchmarks train. Apart from the rest, so that workers load nothing else."""

from __future__ import annotations

import os
import time
from typing import Any

import localtune as tune

_MOST_WAIT_S = 300.0


def report_once(config: dict[str, Any]) -> None:
    """Reports and ends."""
    tune.report({"score": config["x"]})


def score(config: dict[str, Any]) -> dict[str, Any]:
    """Does what a step of :class:`Reusable` does."""
    return {"score": config["x"], "done": True}


def wait_for_all(config: dict[str, Any], directory: str, count: int) -> None:
    """Reports once, when so many trials have started."""
    _meet(directory, count)
    tune.report({"score": config["x"]})


def report_in_windows(
    config: dict[str, Any],
    directory: str,
    count: int,
    pause_s: float,
    window_s: float,
    first: int,
    windows: int,
) -> None:
    """Reports with pauses during every other window of time, after so many trials have started.

    Args:
        config: Has ``x``, from 0 to 1, which spreads the trials over the pause.
        directory: Where the trials meet; they may belong to several runs.
        count: How many trials there are.
        pause_s: Seconds between two reports.
        window_s: Length of a window in seconds.
        first: Its first window, 0 or 1.
        windows: How many windows there are.
    """
    begin = _meet(directory, count) + 1.0
    for window in range(first, windows, 2):
        due = begin + window * window_s + config["x"] * pause_s
        while due < begin + (window + 1) * window_s:
            time.sleep(max(due - time.monotonic(), 0.0))
            tune.report({"score": config["x"], "window": window})
            due += pause_s


def _meet(directory: str, count: int) -> float:
    """Waits until so many trials have started; returns a time soon after, the same for all."""
    with open(f"{directory}/{os.getpid()}", "x"):
        pass
    # Each looks once; the last one to come says so.
    everybody = f"{directory}/all"
    if len(os.listdir(directory)) >= count:
        with open(everybody, "w"):
            pass
    give_up_at = time.monotonic() + _MOST_WAIT_S
    while not os.path.exists(everybody):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"Of {count} trials, {len(os.listdir(directory))} have started.")
        time.sleep(1.0)
    # Files have times of another clock.
    return os.stat(everybody).st_mtime - time.time() + time.monotonic() + 1.0


class Reusable(tune.Trainable):
    """Reports once and is done; takes the next configuration."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        return {"score": self.x, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.x = new_config["x"]
        return True


class Counting(tune.Trainable):
    """Reports so many times; takes the next configuration."""

    def setup(self, config: dict[str, Any], iterations: int = 1) -> None:
        self.x = config["x"]
        self.iterations = iterations

    def step(self) -> dict[str, Any]:
        ended = self.iteration + 1
        return {"score": self.x / ended, "done": ended >= self.iterations}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.x = new_config["x"]
        return True


def report_often(config: dict[str, Any], results: int) -> None:
    """Reports so many times, without a pause."""
    for number in range(results):
        tune.report({"score": config["x"] * number})


class Cloned(tune.Trainable):
    """Saves a large checkpoint after its first step; steps take a tenth of a second."""

    def setup(self, config: dict[str, Any], size_bytes: int) -> None:
        self.data = bytes(size_bytes)
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        time.sleep(0.1)
        return {"score": self.x, "should_checkpoint": self.iteration == 0}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        with open(os.path.join(checkpoint_dir, "data"), "wb") as file:
            file.write(self.data)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        with open(os.path.join(checkpoint_dir, "data"), "rb") as file:
            self.data = file.read()
