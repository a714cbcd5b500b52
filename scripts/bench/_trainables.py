"""What the benchmarks train. Apart from the rest, so that workers load nothing else."""

from __future__ import annotations

import os
import time
from typing import Any

import localtune as tune


def report_once(config: dict[str, Any]) -> None:
    """Reports and ends."""
    tune.report({"score": config["x"]})


def score(config: dict[str, Any]) -> dict[str, Any]:
    """Does what a step of :class:`Reusable` does."""
    return {"score": config["x"], "done": True}


def wait_for_all(
    config: dict[str, Any], directory: str, count: int, reports: int = 1, pause_s: float = 0.0
) -> None:
    """Reports when so many trials have started; several times, with pauses."""
    with open(f"{directory}/{os.getpid()}", "x"):
        pass
    # Each looks once; the last one to come says so.
    if len(os.listdir(directory)) >= count:
        with open(f"{directory}/all", "w"):
            pass
    while not os.path.exists(f"{directory}/all"):
        time.sleep(1.0)
    for step in range(reports):
        tune.report({"score": config["x"] * step})
        time.sleep(pause_s)


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
