"""Cells of a notebook in workers, run by a real kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs.lifecycle.programs import DEADLINE_S, START_METHODS, environment

CELLS = [
    """
import os, pickle
import localtune as tune
class Note:
    text = "from the worker"
offset = 2
def train(config):
    note = pickle.loads(pickle.dumps(Note()))
    tune.report({"value": config["x"] + offset, "note": note.text})
""",
    """
grid = tune.Tuner(
    train,
    param_space={"x": 1},
    run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
    executor=tune.ProcessExecutor(num_cpus=1, start_method=os.environ["START_METHOD"]),
).fit()
assert not grid.errors, grid.errors[0]
assert (grid[0].metrics["value"], grid[0].metrics["note"]) == (3, "from the worker")
""",
    """
import localtune.compat
localtune.compat.install()
import ray
from ray import tune
def train(config):
    from ray import train as inside
    inside.report({"value": ray.__version__, "note": Note().text})
grid = tune.Tuner(
    tune.with_resources(train, {"cpu": 1}),
    run_config=ray.train.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
    executor=tune.ProcessExecutor(num_cpus=1, start_method=os.environ["START_METHOD"]),
).fit()
assert not grid.errors, grid.errors[0]
assert (grid[0].metrics["value"], grid[0].metrics["note"]) == ("2.45.0", "from the worker")
""",
]


@pytest.mark.parametrize("start_method", START_METHODS)
def test_functions_and_classes_of_cells_run_in_workers(tmp_path: Path, start_method: str) -> None:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": str(number),
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(CELLS)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "sweep.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--stdout"]
    done = subprocess.run(
        [*command, "sweep.ipynb"],
        cwd=tmp_path,
        env=environment(START_METHOD=start_method, JUPYTER_PLATFORM_DIRS="1"),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    # A cell that fails ends it. Its output may lack what a cell prints at its end.
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["cells"]) == len(CELLS)
