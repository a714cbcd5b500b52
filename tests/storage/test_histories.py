"""Readers believe the database; the content of the files cannot harm them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from tests.small_runs import fit

HARM: dict[str, Callable[[Path], object]] = {
    "garbled": lambda path: path.write_bytes(b'{"a": 1}\n\xff{torn\n{"b": 2}\n'),
    "another's": lambda path: path.write_text('{"mine": 1}\n'),
    "empty": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
}


def train(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"loss": config["x"] * step})


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", ["result.json", "progress.csv", "params.json", "params.pkl"])
def test_a_damaged_file_changes_nothing_that_readers_find(
    tmp_path: Path, harm: str, name: str
) -> None:
    grid = fit(train, tmp_path, {"x": tune.grid_search([1, 2])}, executor="inprocess")
    HARM[harm](Path(grid[0].path, name))

    analysis = tune.ExperimentAnalysis(grid.experiment_path)

    frames = [frame["loss"].tolist() for frame in analysis.trial_dataframes.values()]
    assert frames == [[0, 1, 2], [0, 2, 4]]
    assert [frame["config/x"].tolist() for frame in analysis.trial_dataframes.values()] == [
        [1, 1, 1],
        [2, 2, 2],
    ]
    assert sorted(analysis.dataframe("loss", "max")["loss"]) == [2, 4]
    for result, losses in zip(tune.ResultGrid(analysis), frames, strict=True):
        frame, path = result.metrics_dataframe, result.path
        assert frame is not None and path is not None
        assert frame["loss"].tolist() == losses
        assert (tune.Result.from_path(path).metrics or {})["loss"] == losses[-1]
