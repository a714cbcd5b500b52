"""A program whose trial reports five results, and then stays in a step.

``long_step.py KIND EXECUTOR INTERVAL_S``: the step ends when the file ``go on`` exists. Results
wait for INTERVAL_S in place of what they do.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.controller import recorder

HERE = Path.cwd()
REPORTS = 5


def stay(config: dict[str, Any]) -> None:
    here = Path(config["here"])
    (here / "in step").touch()
    deadline = time.monotonic() + 100
    while not (here / "go on").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def function(config: dict[str, Any]) -> None:
    for step in range(1, REPORTS + 1):
        tune.report({"loss": 10.0 - step})
    stay(config)


class Class(tune.Trainable):
    """The same as a class."""

    def step(self) -> dict[str, Any]:
        if self.iteration == REPORTS:
            stay(self.config)
        return {"loss": 9.0 - self.iteration, "done": self.iteration >= REPORTS}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}

    def load_checkpoint(self, checkpoint: Any) -> None:
        pass


KINDS: dict[str, Any] = {"function": function, "class": Class}


if __name__ == "__main__":
    kind, executor, interval_s = sys.argv[1:]
    recorder.INTERVAL_S = float(interval_s)
    tune.Tuner(
        KINDS[kind],
        param_space={"here": str(HERE)},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(name="run", storage_path=str(HERE)),
        executor="inprocess" if executor == "inprocess" else tune.ProcessExecutor(num_cpus=1),
    ).fit()
