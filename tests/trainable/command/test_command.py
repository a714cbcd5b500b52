"""Command: a program as a trainable, in whole runs."""

from __future__ import annotations

import sys
from pathlib import Path

import localtune as tune
from tests.small_runs import fit


def script(directory: Path, text: str, name: str = "train.py") -> str:
    """Writes a script; returns its path."""
    path = directory / name
    path.write_text(text)
    return str(path)


def test_lines_of_json_are_results(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        "import sys\n"
        "for epoch in range(3):\n"
        "    print('epoch', epoch)\n"
        "    print('{\"other\": 1}')\n"
        "    print('{\"loss\": %s}' % (float(sys.argv[1]) + epoch))\n",
    )
    command = tune.Command([sys.executable, path, "{lr}"])
    space = {"lr": tune.grid_search([1, 2])}
    for executor in ("inprocess", tune.ProcessExecutor(num_cpus=2)):
        grid = fit(
            command, tmp_path, space, executor=executor, metric="loss", mode="min", name=None
        )
        assert [each.error for each in grid] == [None, None]
        assert [each.metrics["loss"] for each in grid] == [3.0, 4.0]
        assert [each.metrics["training_iteration"] for each in grid] == [3, 3]
