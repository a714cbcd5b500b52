"""Tests of localtune.compat.program: scripts of Ray Tune, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from ray import air, tune
from ray.air import session
from ray.tune.schedulers import ASHAScheduler


def train(config):
    from ray import train as inside
    for step in range(2):
        tune.report(loss=config["a"] * step)
    inside.report({"loss": config["a"] / 2})


def modern(config):
    session.report({"loss": config["a"]})


if __name__ == "__main__":
    space = {"a": tune.grid_search([1, 2])}
    analysis = tune.run(
        train, config=space, local_dir="results", metric="loss", mode="max", verbose=0, name="old"
    )
    results = tune.Tuner(
        modern, param_space=space, run_config=air.RunConfig(name="new", verbose=0)
    ).fit()
    print(sys.argv, __name__, __file__, analysis.best_config, len(results))
"""


def test_a_script_runs_unchanged_and_says_once_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "script.py", "--deep"],
        cwd=tmp_path,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['script.py', '--deep'] __main__ script.py {'a': 2} 2\n"
    assert (tmp_path / "results" / "old").is_dir()
    assert done.stderr.count("tune.report(loss=x)") == 1
    assert done.stderr.count("tune.run(local_dir=)") == 1
