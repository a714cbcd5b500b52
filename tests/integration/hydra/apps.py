"""Hydra programs that tests run as their users do: in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

# Each job notes what it sees in its output directory, and then does what `act` says.
APP = """
import json, logging, os, sys, threading, time
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig

import localtune

log = logging.getLogger(__name__)


@dataclass
class Conf:
    lr: float = 0.1
    act: str = "nothing"


ConfigStore.instance().store(name="conf", node=Conf)


class Net:
    def __init__(self, width):
        self.width = width


class OwnError(Exception):
    pass


def act(cfg, output):
    if cfg.act == "fail":
        raise OwnError(f"unlucky {cfg.lr}")
    if cfg.act == "fail_once" and not (output / "tried").exists():
        (output / "tried").touch()
        raise OwnError("only once")
    if cfg.act == "kill":
        os.kill(os.getpid(), 9)
    if cfg.act == "wait":
        print("waiting", os.getpid(), flush=True)
        threading.Event().wait()
    if cfg.act == "lock":
        return threading.Lock()
    if cfg.act == "dict":
        return {"loss": cfg.lr, "name": "text", "done": 0}
    return cfg.lr * 2


@hydra.main(version_base=None, config_name="conf")
def main(cfg):
    begin = time.monotonic()
    hydra_config = HydraConfig.get()
    output = Path(hydra_config.runtime.output_dir)
    facts = {
        "num": hydra_config.job.num,
        "id": hydra_config.job.id,
        "cwd": os.getcwd(),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "resources": localtune.get_context().get_trial_resources().required_resources,
        "net": hydra.utils.instantiate({"_target_": "__main__.Net", "width": 3}).width,
    }
    log.info("lr is %s", cfg.lr)
    result = act(cfg, output)
    facts["times"] = [begin, time.monotonic()]
    (output / "facts.json").write_text(json.dumps(facts))
    return result


if __name__ == "__main__":
    main()
"""
LAUNCHER = ("--multirun", "hydra/launcher=localtune", "hydra.sweep.dir=out")


def write_app(directory: Path, source: str = APP, name: str = "app.py") -> Path:
    """Writes a program; returns its path."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def environment(**variables: str) -> dict[str, str]:
    """The environment of a program: this checkout is what it imports."""
    path = os.pathsep.join(filter(None, [variables.pop("PYTHONPATH", ""), str(ROOT)]))
    return {**os.environ, "PYTHONPATH": path, **variables}


def sweep(
    directory: Path, *arguments: str, app: tuple[str, ...] = ("app.py",), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program with the launcher; its sweep directory is ``out``.

    Args:
        directory: Working directory.
        *arguments: Overrides.
        app: The program, as arguments of the interpreter.
        **variables: Environment variables.
    """
    return subprocess.run(
        [sys.executable, *app, *LAUNCHER, *arguments],
        cwd=directory,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=100,
    )


def facts_of(directory: Path, number: int) -> dict[str, Any]:
    """What a job has noted."""
    facts: dict[str, Any] = json.loads((directory / "out" / str(number) / "facts.json").read_text())
    return facts
