"""Trainables that are right, or wrong in just one way. Workers import this module."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import localtune as tune

SPACE = {"lr": tune.grid_search([1.0, 2.0])}
_seen: list[Any] = []


class Right(tune.Trainable):
    """Falls with each step; all of it in the checkpoint; reusable."""

    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0
        self.lr = config.get("lr", 1.0)

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"loss": self.lr / self.steps}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.steps = checkpoint["steps"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


class RightWithDirectory(Right):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "steps").write_text(str(self.steps))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.steps = int(Path(checkpoint, "steps").read_text())


class FailsInSetup(Right):
    def setup(self, config: dict[str, Any]) -> None:
        raise RuntimeError("no data")


class WantsConfig(Right):
    def setup(self, config: dict[str, Any]) -> None:
        self.width = config["width"]


class FailsInStep(Right):
    def step(self) -> dict[str, Any]:
        raise RuntimeError("no loss")


class DiesInStep(Right):
    def step(self) -> dict[str, Any]:
        os._exit(7)


class FailsToSave(Right):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        raise RuntimeError("no disk")


class CannotBeSaved(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"loss": 1.0}


class SavesToWorkingDirectory(Right):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path("steps").write_text(str(self.steps))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.steps = int(Path(checkpoint, "steps").read_text())


class KeepsPathOfCheckpoint(Right):
    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        path = Path(checkpoint_dir, "steps")
        path.write_text(str(self.steps))
        return {"path": str(path)}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.steps = int(Path(checkpoint["path"]).read_text())


class ForgetsPartOfState(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.momentum = 1.0

    def step(self) -> dict[str, Any]:
        self.momentum *= 0.5
        return {"loss": super().step()["loss"] + self.momentum}


class RestoresNothing(Right):
    def load_checkpoint(self, checkpoint: Any) -> None:
        pass


class DrawsWithoutSeed(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.noise = random.SystemRandom()

    def step(self) -> dict[str, Any]:
        return {"loss": super().step()["loss"] + self.noise.random()}


class KeepsStepsAtReset(Right):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.lr = new_config["lr"]
        return True


class NotReusable(Right):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return False


class FailsAtReset(Right):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        raise RuntimeError("no reset")


class FailsInCleanup(Right):
    def cleanup(self) -> None:
        raise RuntimeError("no cleanup")


class LeavesProcess(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


class EndsItsProcess(LeavesProcess):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return False

    def cleanup(self) -> None:
        self.child.kill()
        self.child.wait()


class LeavesThread(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        threading.Thread(target=threading.Event().wait, name="left-over", daemon=True).start()


class LeavesTemporaryFile(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.directory = tempfile.mkdtemp(prefix="left-over-")


class WritesIntoOriginalDirectory(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        Path(os.environ["TUNE_ORIG_WORKING_DIR"], "model.bin").write_text("x")


class ReadsRelativePath(Right):
    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        Path("data.csv").read_text()


class NeverSteps(Right):
    def step(self) -> dict[str, Any]:
        threading.Event().wait()
        return {}


class TakesMuchMemory(Right):
    """Asks for 1 MB, and holds far more."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config)
        self.data = bytearray(os.urandom(1)) * 50_000_000

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"cpu": 1, "memory": 1_000_000}


class AsksForTooMuch(Right):
    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> dict[str, Any]:
        return {"cpu": 100_000}


class NotATrainable:
    pass


def right(config: dict[str, Any]) -> None:
    """Goes on from its checkpoint."""
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as directory:
            start = json.loads(Path(directory, "step").read_text())
    for step in range(start + 1, 5):
        report_with_checkpoint(config, step)


def report_with_checkpoint(config: dict[str, Any], step: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "step").write_text(str(step))
        checkpoint = tune.Checkpoint.from_directory(directory)
        tune.report({"loss": config.get("lr", 1.0) / step}, checkpoint=checkpoint)


def begins_anew(config: dict[str, Any]) -> None:
    for step in range(1, 5):
        report_with_checkpoint(config, step)


def reports_nothing(config: dict[str, Any]) -> None:
    pass


def returns_a_number(config: dict[str, Any]) -> float:
    return 1.0


def without_checkpoint(config: dict[str, Any]) -> None:
    for step in range(1, 4):
        tune.report({"loss": 1 / step})


def swallows_the_stop(config: dict[str, Any]) -> None:
    while True:
        try:
            tune.report({"loss": 1.0})
        except BaseException:
            continue


def counts_in_a_global(config: dict[str, Any]) -> None:
    _seen.append(config)
    tune.report({"loss": float(len(_seen))})


def two_arguments(config: dict[str, Any], data: Any) -> None:
    pass


def takes_data(config: dict[str, Any], data: list[int]) -> dict[str, Any]:
    return {"loss": sum(data)}


class DoneAtOnce(Right):
    """Its one step is the last; going on is an error."""

    def step(self) -> dict[str, Any]:
        if self.steps == 1:
            raise RuntimeError("one step too many")
        return {**super().step(), "done": True}
