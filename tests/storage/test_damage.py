"""Damaged state is one clear error, whoever reads it."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import StorageError
from tests.runs import fit


def train(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"]})


def sql(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path / "experiment.db")) as connection:
            connection.execute(statement)
            connection.commit()

    return damage


def torn_tuner(path: Path) -> None:
    (path / "tuner.pkl").write_bytes((path / "tuner.pkl").read_bytes()[:20])


def other_tuner(path: Path) -> None:
    (path / "tuner.pkl").write_bytes(pickle.dumps([1]))


OF_DATABASE: dict[str, Callable[[Path], object]] = {
    "no runs": sql("DELETE FROM runs"),
    "no table": sql("DROP TABLE trials"),
    "torn pickle": sql("UPDATE trials SET origin = x'80'"),
    "another pickle": sql("UPDATE trials SET origin = x'80054b012e'"),
    "a status that does not exist": sql("UPDATE trials SET status = 'X'"),
    "text": lambda path: (path / "experiment.db").write_text("text" * 100),
}
OF_TUNER: dict[str, Callable[[Path], object]] = {"torn": torn_tuner, "another": other_tuner}
READERS: dict[str, Callable[[Path], object]] = {
    "restore": lambda path: tune.Tuner.restore(str(path), train),
    "analysis": lambda path: tune.ExperimentAnalysis(str(path)),
    "resume": lambda path: tune.run(
        train, name=path.name, storage_path=str(path.parent), resume=True, verbose=0
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", OF_DATABASE)
def test_a_damaged_database_is_a_storage_error(tmp_path: Path, damage: str, reader: str) -> None:
    grid = fit(train, tmp_path, {"x": 1}, executor="inprocess")
    path = Path(grid.experiment_path)
    OF_DATABASE[damage](path)

    with pytest.raises(StorageError, match="Put back a copy"):
        READERS[reader](path)


@pytest.mark.parametrize("damage", OF_TUNER)
def test_a_damaged_tuner_file_is_a_storage_error(tmp_path: Path, damage: str) -> None:
    grid = fit(train, tmp_path, {"x": 1}, executor="inprocess")
    OF_TUNER[damage](Path(grid.experiment_path))

    with pytest.raises(StorageError, match="Put back a copy"):
        READERS["restore"](Path(grid.experiment_path))
