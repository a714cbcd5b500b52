"""Copies of databases that others write."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.snapshot import copy_database
from tests.heavy import long_but
from tests.records import make_trial
from tests.runs.lifecycle.programs import running, wait_until
from tests.small_runs import fit, reporting

# Moves an amount between rows all the time, so that their sum stays what it is.
WRITER = """
import os, random, sqlite3, sys
connection = sqlite3.connect("data.db", isolation_level=None)
connection.execute(f"PRAGMA journal_mode={sys.argv[1]}")
connection.execute("PRAGMA synchronous=OFF")
connection.execute("PRAGMA wal_autocheckpoint=20")
connection.execute("CREATE TABLE amounts (number INTEGER PRIMARY KEY, amount INTEGER, filler)")
for number in range(200):
    connection.execute("INSERT INTO amounts VALUES (?, 10, ?)", (number, "x" * 900))
open("ready", "w").close()
while not os.path.exists("stop"):
    one, other = random.sample(range(200), 2)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE amounts SET amount = amount + 1 WHERE number = ?", (one,))
    connection.execute("UPDATE amounts SET amount = amount - 1 WHERE number = ?", (other,))
    connection.execute("COMMIT")
os._exit(0)  # As if it was killed: the log stays.
"""


def check(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT sum(amount) FROM amounts").fetchone() == (2000,)


def listing(path: Path) -> dict[str, tuple[int, int]]:
    return {each.name: (each.stat().st_size, each.stat().st_mtime_ns) for each in path.iterdir()}


@pytest.mark.parametrize("mode", long_but(["wal"], ["wal", "delete"]))
def test_a_copy_is_whole_although_the_database_is_written_meanwhile(
    tmp_path: Path, mode: str
) -> None:
    (tmp_path / "w").mkdir()
    source = str(tmp_path / "w" / "data.db")
    with running(["-c", WRITER, mode], tmp_path / "w") as writer:
        wait_until((tmp_path / "w" / "ready").exists, "the writer begins")
        for number in range(60):
            (tmp_path / str(number)).mkdir()
            copy_database(source, str(tmp_path / str(number) / "copy.db"))
            check(tmp_path / str(number) / "copy.db")
        (tmp_path / "w" / "stop").touch()
        assert writer.wait(60) == 0
    before = listing(tmp_path / "w")
    (tmp_path / "last").mkdir()

    copy_database(source, str(tmp_path / "last" / "copy.db"))

    check(tmp_path / "last" / "copy.db")
    assert listing(tmp_path / "w") == before
    assert ("data.db-wal" in before) == (mode == "wal")


def test_a_transaction_that_a_kill_cut_off_is_undone_in_the_copy(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    program = """
import os, sqlite3
connection = sqlite3.connect("data.db", isolation_level=None)
connection.execute("PRAGMA cache_size=2")
connection.execute("CREATE TABLE amounts (number INTEGER PRIMARY KEY, amount INTEGER, filler)")
connection.execute("BEGIN")
for number in range(200):
    connection.execute("INSERT INTO amounts VALUES (?, 10, ?)", (number, "x" * 900))
connection.execute("COMMIT")
connection.execute("BEGIN")
connection.execute("UPDATE amounts SET amount = 0, filler = 'y'")
os._exit(0)
"""
    with running(["-c", program], tmp_path / "w") as writer:
        assert writer.wait(60) == 0
    before = listing(tmp_path / "w")
    assert "data.db-journal" in before

    copy_database(str(tmp_path / "w" / "data.db"), str(tmp_path / "copy.db"))

    check(tmp_path / "copy.db")
    assert listing(tmp_path / "w") == before


def test_a_copy_leaves_this_process_its_locks(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path)])
        db._connection.execute("BEGIN IMMEDIATE")
        copy_database(str(tmp_path / "experiment.db"), str(tmp_path / "copy.db"))
        # Another process finds it locked, as before.
        other = (
            "import sqlite3, sys\n"
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)\n"
            "connection.execute('BEGIN IMMEDIATE')\n"
        )
        with running(["-c", other, str(tmp_path / "experiment.db")], tmp_path) as process:
            assert process.wait(60) == 1
        assert "database is locked" in (tmp_path / "output").read_text()
        db._connection.execute("ROLLBACK")


@pytest.mark.parametrize("content", [b"", b"short", b"this is no database" * 300])
def test_what_is_no_database_is_an_error_or_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.db").write_bytes(content)
    with contextlib.suppress(sqlite3.DatabaseError):
        copy_database(str(tmp_path / "data.db"), str(tmp_path / "copy.db"))
    assert (tmp_path / "data.db").read_bytes() == content
    assert sorted(os.listdir(tmp_path))[-1] == "data.db"


def test_a_copy_of_a_killed_reader_goes_when_another_one_reads(tmp_path: Path) -> None:
    fit(reporting, tmp_path, {"steps": 1})
    code = (
        "import os, signal, sys\n"
        "from localtune.storage.shared_copy import opened\n"
        "with opened(sys.argv[1]):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    reader = [sys.executable, "-c", code, str(tmp_path / "run")]

    assert subprocess.run(reader, env=environment, check=False).returncode == -signal.SIGKILL
    assert len(list(scratch.iterdir())) == 1
    reader[2] = code.replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    subprocess.run(reader, env=environment, check=True)
    assert list(scratch.iterdir()) == []
