"""Databases of earlier schemas are migrated, and one of today's schema can be read for good."""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
from pathlib import Path

import pytest

from localtune.error import StorageError
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage import migrations, schema
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reader import RunRecord
from localtune.storage.reading import load_trials, read_experiment
from localtune.trial.status import Status
from tests.storage import stored_database


@pytest.mark.parametrize("version", [4, 5])
def test_a_stored_database_can_be_read(version: int, tmp_path: Path) -> None:
    stored_database.make(tmp_path, Path(__file__).with_name(f"schema_{version}.sql"))

    (ended,) = load_trials(str(tmp_path), run=1)
    paused, new = load_trials(str(tmp_path))

    assert (ended.status, paused.status, new.status) == (
        Status.TERMINATED,
        Status.PAUSED,
        Status.PENDING,
    )
    assert (ended.seed, ended.config, ended.result_count) == (5, {"lr": 0.1}, 2)
    assert ended.last_result["loss"] == 1.0
    assert ended.metric_analysis["loss"]["max"] == 2.0
    assert [each.index for each in ended.checkpoints.kept] == [0]
    assert paused.checkpoint_config.num_to_keep == 2
    assert paused.placement_group_factory is not None
    assert paused.placement_group_factory.required_resources == {"CPU": 2.0}
    assert read_experiment(str(tmp_path), run=1, best=1).trials[0].trial_id == ended.trial_id
    assert (version_of(tmp_path), os.listdir(tmp_path)) == (version, ["experiment.db"])
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        assert db._select("SELECT value FROM trials ORDER BY number", ()) == [
            (1.0,),
            (None,),
            (None,),
        ]
        assert db.runs() == [
            RunRecord(1, None, "loss", "min", {"TERMINATED": 1}),
            RunRecord(2, 1.0, None, None, {"PAUSED": 1, "PENDING": 1}),
        ]
        assert db.get("searcher") == "second"
        history = list(db.history(paused))
    assert [each["loss"] for each in history] == [2.0, 1.0]
    assert [each["config"] for each in history] == [{"lr": 0.2}, {"lr": 0.2}]
    assert paused.config == {"lr": 0.4}


def version_of(directory: Path) -> int:
    with contextlib.closing(sqlite3.connect(directory / EXPERIMENT_DB_FILE)) as connection:
        (blob,) = connection.execute(
            "SELECT value FROM meta WHERE key = 'schema_version'"
        ).fetchone()
        version: int = pickle.loads(blob)
        return version


def test_an_old_database_goes_through_each_step_up_to_the_newest_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_database.make(tmp_path)
    old = schema.SCHEMA_VERSION
    steps = {
        old: lambda connection: connection.execute("ALTER TABLE runs ADD COLUMN note TEXT"),
        old + 1: lambda connection: connection.execute("UPDATE runs SET note = 'migrated'"),
    }
    monkeypatch.setattr(migrations, "_STEPS", steps)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", old + 2)

    ExperimentDB(str(tmp_path)).close()

    assert version_of(tmp_path) == old + 2
    with contextlib.closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as connection:
        assert connection.execute("SELECT DISTINCT note FROM runs").fetchall() == [("migrated",)]


def test_a_step_that_fails_leaves_the_old_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_database.make(tmp_path)
    old = schema.SCHEMA_VERSION

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM trials")
        raise KeyError("config")

    monkeypatch.setattr(migrations, "_STEPS", {old: fail})
    monkeypatch.setattr(schema, "SCHEMA_VERSION", old + 1)
    with pytest.raises(StorageError, match="config"):
        ExperimentDB(str(tmp_path))
    monkeypatch.undo()

    assert version_of(tmp_path) == old
    assert len(load_trials(str(tmp_path))) == 2


def test_a_module_that_a_migration_lacks_is_named(tmp_path: Path) -> None:
    stored_database.make(tmp_path, Path(__file__).with_name("schema_4.sql"))
    with contextlib.closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as connection:
        connection.execute("UPDATE trials SET progress = ?", (b"cmissing_here\nThing\n.",))
        connection.commit()

    with pytest.raises(StorageError, match=r"'missing_here'\. Make the module importable"):
        ExperimentDB(str(tmp_path))


def test_a_database_from_before_the_first_release_is_refused(tmp_path: Path) -> None:
    stored_database.make(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as connection:
        older = pickle.dumps(migrations.OLDEST_VERSION - 1)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (older,))
        connection.commit()

    with pytest.raises(StorageError, match="its version is 3"):
        ExperimentDB(str(tmp_path))
