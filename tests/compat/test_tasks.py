"""Tests of localtune.compat.tasks: what is left when the process of a script dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localtune.utils.private_dir import sweep
from tests.leaks import DEADLINE_S

SCRIPT = """
import os, signal, subprocess, sys, time
import ray

ray.init(num_cpus=2)

@ray.remote
def block():
    child = subprocess.Popen(["sleep", "1000"])
    with open("pids.tmp", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename("pids.tmp", "pids")
    while True:
        time.sleep(0.01)

@ray.remote
def pid():
    return os.getpid()

running, idle = block.remote(), ray.get(pid.remote())
kept = ray.put("kept")
while not os.path.exists("pids"):
    ray.wait([running], timeout=0.01)
print(idle, *open("pids").read().split(), flush=True)
if sys.argv[1] == "end":
    sys.exit(0)
if sys.argv[1] == "exit":
    os._exit(0)
ray.get(running)
"""


@pytest.mark.parametrize("way", ["end", "exit", "SIGKILL", "SIGINT"])
def test_nothing_outlives_the_process_of_the_script(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leak checks of all tests look for processes."""
    (tmp_path / "script.py").write_text(SCRIPT)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    root = str(Path(__file__).parents[2])
    script = subprocess.Popen(
        [sys.executable, "-m", "localtune.compat", "script.py", way],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert script.stdout is not None
    pids = [int(each) for each in script.stdout.readline().split()]
    assert len(pids) == 3
    if way.startswith("SIG"):
        script.send_signal(getattr(signal, way))
    script.communicate(timeout=10 * DEADLINE_S)

    if way in ("exit", "SIGKILL"):
        # The next run removes what it could not.
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        sweep()
    assert list(temporary.iterdir()) == []
