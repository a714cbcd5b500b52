"""Runs ``localtune`` as a person does: in a process of its own, in a folder with a script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.runs.lifecycle.programs import DEADLINE_S, environment

SCRIPT = '''
import os
import localtune as tune


def train(config):
    """Reports three times; with x = 2 it fails until there is the file config["fixed"]."""
    print("training with", config["x"])
    for step in range(1, 4):
        if config["x"] == 2 and step == 2 and not os.path.exists(config.get("fixed", "")):
            raise ValueError("x must not be 2")
        tune.report({"loss": config["x"] / step})


def silent(config):
    """Reports nothing."""


class Counts(tune.Trainable):
    """Counts until the file "go" exists."""

    def setup(self, config):
        self.count = 0

    def step(self):
        self.count += 1
        print("step", self.count, flush=True)
        return {"count": self.count, "done": os.path.exists(self.config["go"])}

    def save_checkpoint(self, checkpoint_dir):
        return {"count": self.count}

    def load_checkpoint(self, checkpoint):
        self.count = checkpoint["count"]


NOT_CALLABLE = 3
'''
PROGRAM = ["-m", "localtune"]


def write_script(folder: Path, name: str = "job") -> None:
    """Writes the script with the trainables."""
    (folder / f"{name}.py").write_text(SCRIPT)


def localtune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", *PROGRAM, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def for_json(folder: Path, *arguments: str, code: int = 0) -> Any:
    """Runs a command with ``--json``; what it printed."""
    done = localtune(folder, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)
