"""A debugger on a real terminal stops inside a trial of the in-process executor."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.runs.lifecycle.programs import DEADLINE_S, environment

SCRIPT = """
import os
import localtune as tune

class Stops(tune.Trainable):
    def step(self):
        secret = 20 + 22
        breakpoint()
        return {"value": secret, "done": True}

grid = tune.Tuner(
    Stops,
    run_config=tune.RunConfig(
        storage_path=os.path.abspath("results"),
        verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
    executor="inprocess",
).fit()
print("the value is", grid[0].metrics["value"])
"""


def test_a_breakpoint_in_a_step_opens_the_debugger(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    parent, child = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=environment(PYTHON_COLORS="0", TERM="dumb"),
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        try:
            read_until(parent, "(Pdb)")
            os.write(parent, b"p 'secret', secret + 1\n")
            read_until(parent, "('secret', 43)")
            os.write(parent, b"secret = 1\ncontinue\n")
            read_until(parent, "the value is 1")
        finally:
            process.kill() if process.poll() is None else None
            process.wait(DEADLINE_S)
    finally:
        os.close(parent)


def read_until(terminal: int, text: str) -> None:
    """Reads from a terminal until it shows a text; fails at its end."""
    seen = ""
    while text not in seen:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            data = b""
        assert data, f"{text!r} is not in {seen!r}"
        seen += data.decode(errors="replace")
