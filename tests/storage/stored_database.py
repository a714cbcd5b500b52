"""A database of today's schema, as text: ``python -m tests.storage.stored_database`` rewrites it.

Rewrite it only as long as no release has the schema. Later schemas get files of their own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from localtune.config.checkpoint import CheckpointConfig
from localtune.resources import resource_dict_to_pg_factory
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.schema import SCHEMA_VERSION
from localtune.trial.status import Status
from tests.records import add_checkpoint, add_results, make_trial

FILE = Path(__file__).with_name(f"schema_{SCHEMA_VERSION}.sql")


def make(directory: Path, file: Path = FILE) -> None:
    """Makes the database of an experiment from its text.

    Args:
        directory: Directory of the experiment.
        file: The text.
    """
    with contextlib.closing(sqlite3.connect(directory / EXPERIMENT_DB_FILE)) as connection:
        connection.executescript(file.read_text(encoding="ascii"))


def write(directory: Path) -> None:
    """Writes two runs: one with a trial that ended, one with trials that did not.

    Args:
        directory: Directory of the experiment.
    """
    ended = make_trial(directory, 0, config={"lr": 0.1}, seed=5)
    paused = make_trial(
        directory,
        1,
        config={"lr": 0.2},
        checkpoint_config=CheckpointConfig(num_to_keep=2),
        placement_group_factory=resource_dict_to_pg_factory({"cpu": 2}),
    )
    new = make_trial(directory, 2, config={"lr": 0.3})
    with contextlib.closing(ExperimentDB(str(directory))) as db:
        db.save([ended], {"searcher": "first"})
        db.start_work("loss", "min")
        for trial in (ended, paused):
            trial.set_status(Status.RUNNING)
            for number, result in enumerate(add_results(trial, [{"loss": 2.0}, {"loss": 1.0}]), 1):
                trial.result_count = number
                db.add_result(trial, number, result)
            add_checkpoint(trial)
            if trial is ended:
                ended.set_status(Status.TERMINATED)
                db.save([ended])
                db.begin_run(started=1.0)
        paused.set_status(Status.PAUSED)
        db.save([paused, new], {"searcher": "second"})
        paused.set_config({"lr": 0.4})
        db.save([paused])


def main() -> None:
    with TemporaryDirectory() as directory:
        write(Path(directory))
        with contextlib.closing(sqlite3.connect(Path(directory, EXPERIMENT_DB_FILE))) as connection:
            lines = [line for line in connection.iterdump() if "PRAGMA" not in line]
    FILE.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{FILE}: {len(lines)} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
