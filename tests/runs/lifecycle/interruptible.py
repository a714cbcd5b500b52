"""A program whose sweep a test interrupts, and one that takes it up again."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.testing.chaos import ChaosTrainable

HERE = Path.cwd()
STEPS = 6


class Counts(ChaosTrainable):
    """Counts its steps; from the fourth on it waits until the run is interrupted."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        if self.steps == 4:
            (HERE / "ready").touch()
        deadline = time.monotonic() + 30
        while self.steps >= 4 and not (HERE / "go on").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return result


def executor() -> tune.ProcessExecutor:
    return tune.ProcessExecutor(num_cpus=1, start_method=sys.argv[2])


def start() -> None:
    grid = tune.Tuner(
        Counts,
        param_space={"stop_at": STEPS},
        tune_config=tune.TuneConfig(num_samples=2),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(HERE),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
        executor=executor(),
    ).fit()
    print(json.dumps([len(grid), grid.num_errors, grid.num_terminated]))


def take_up() -> None:
    grid: Any = tune.Tuner.restore(str(HERE / "run"), Counts, executor=executor()).fit()
    print(json.dumps([[each.metrics["steps"], each.metrics["done"]] for each in grid]))


if __name__ == "__main__":
    {"start": start, "take up": take_up}[sys.argv[1]]()
