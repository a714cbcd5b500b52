"""Damaged state is one clear error for every reader, and is not made worse."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import localtune as tune
from localtune.error import StorageError
from localtune.tools.cli.main import main
from tests.heavy import long_but
from tests.runs.lifecycle.programs import DEADLINE_S, environment
from tests.small_runs import begin_only

Damage: TypeAlias = "Callable[[Path], object]"

SCRIPT = """
import localtune as tune


def train(config):
    tune.report({"loss": config["x"]})
"""
PICKLED_LIST, PICKLED_NONE = "x'80055d942e'", "x'80054e2e'"
ADVICE = (
    "Restore a copy",
    "Put back a copy",
    "put back a copy",
    "remove the file; the next run makes it",
)


def sql(statement: str) -> Damage:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path / "experiment.db")) as connection:
            connection.execute(statement)
            connection.commit()

    return damage


def of_trials(**changes: Any) -> Damage:
    """Puts values of other kinds into the records of trials."""

    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path / "experiment.db")) as connection:
            for column in ("origin", "progress"):
                for trial_id, blob in connection.execute(f"SELECT trial_id, {column} FROM trials"):
                    record = pickle.loads(blob)
                    record |= {key: changes[key] for key in record.keys() & changes}
                    connection.execute(
                        f"UPDATE trials SET {column} = ? WHERE trial_id = ?",
                        (pickle.dumps(record), trial_id),
                    )
            connection.commit()

    return damage


def instead(name: str, make: Damage) -> Damage:
    """Puts something else in the place of a file."""

    def damage(path: Path) -> None:
        (path / name).unlink(missing_ok=True)
        make(path / name)

    return damage


def torn(name: str, size: int) -> Damage:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:size])


def parts_of_tuner(path: Path) -> None:
    saved = pickle.loads((path / "tuner.pkl").read_bytes())
    (path / "tuner.pkl").write_bytes(pickle.dumps({**saved, "run_config": pickle.dumps(3)}))


# No reader of the experiment can do anything with these.
OF_ALL: dict[str, Damage] = {
    "meta is empty": sql("DELETE FROM meta"),
    "runs is empty": sql("DELETE FROM runs"),
    "trials is empty": sql("DELETE FROM trials"),
    "a trial is gone": sql("DELETE FROM trials WHERE number = 0"),
    **{
        f"{table} is gone": sql(f"DROP TABLE {table}")
        for table in ("meta", "runs", "state", "trials", "checkpoints", "results", "configs")
    },
    "a record is torn": sql("UPDATE trials SET origin = x'80'"),
    "a record is a number": sql("UPDATE trials SET origin = 5"),
    "a record is a list": sql(f"UPDATE trials SET progress = {PICKLED_LIST}"),
    "a config is a list": of_trials(config=[1]),
    "parameters are a number": of_trials(evaluated_params=3),
    "statistics are a text": of_trials(metric_stats="loss"),
    "a count is a text": of_trials(result_count="1"),
    "a status that does not exist": sql("UPDATE trials SET status = 'X'"),
    "numbers of trials are texts": sql("UPDATE trials SET number = 'a' || number"),
    "trials of a run that is not there": sql("UPDATE trials SET run = 7"),
    "a mode that does not exist": sql("UPDATE runs SET mode = 'best'"),
    "a metric of bytes": sql("UPDATE runs SET metric = x'01'"),
    "a version of text": sql("UPDATE meta SET value = x'80058c01612e'"),
    "a version below all": sql(f"UPDATE meta SET value = x'{pickle.dumps(-3).hex()}'"),
    "state of numbers": sql("UPDATE state SET value = 5"),
    "the database is a directory": instead("experiment.db", Path.mkdir),
    "the database is text": instead("experiment.db", lambda path: path.write_text("text" * 100)),
    "the database is empty": instead("experiment.db", Path.touch),
    "the database is a pipe": instead("experiment.db", os.mkfifo),
    "the database is torn": torn("experiment.db", 5000),
    "the log is a directory": instead("experiment.db-wal", Path.mkdir),
}
# These keep it from going on.
OF_GOING_ON: dict[str, Damage] = {
    "state is empty": sql("DELETE FROM state"),
    "state is None": sql(f"UPDATE state SET value = {PICKLED_NONE} WHERE key = 'searcher'"),
    "state is a list": sql(f"UPDATE state SET value = {PICKLED_LIST} WHERE key = 'searcher'"),
    "the lock is a directory": instead(".lock", Path.mkdir),
}
# These keep the Tuner from going on, and tune.run does not read them.
OF_TUNER: dict[str, Damage] = {
    "the tuner is torn": torn("tuner.pkl", 20),
    "the tuner is empty": torn("tuner.pkl", 0),
    "the tuner is a list": instead("tuner.pkl", lambda path: path.write_bytes(pickle.dumps([1]))),
    "parts of the tuner are missing": instead(
        "tuner.pkl", lambda path: path.write_bytes(pickle.dumps({}))
    ),
    "a part of the tuner is a number": parts_of_tuner,
    "the tuner is a directory": instead("tuner.pkl", Path.mkdir),
}
# These are not needed: the database has their content.
OF_NONE: dict[str, Damage] = {
    "the command is garbage": instead("command.json", lambda path: path.write_text("{{{")),
    "the command is another": instead(
        "command.json", lambda path: path.write_text('{"target": 5}')
    ),
    "the command is a directory": instead("command.json", Path.mkdir),
    "the owner is a directory": instead(".lock_owner.json", Path.mkdir),
    "the owner is garbage": instead(
        ".lock_owner.json", lambda path: path.write_text('{"pid": [], "started": {}}')
    ),
    "results is empty": sql("DELETE FROM results"),
    "the log is garbage": instead("experiment.db-wal", lambda path: path.write_text("text" * 999)),
}
OF_HISTORIES: dict[str, Damage] = {
    "a result is a list": sql(f"UPDATE results SET result = {PICKLED_LIST}"),
    "a result is torn": sql("UPDATE results SET result = x'80'"),
    "a result is a number": sql("UPDATE results SET result = 9"),
}
READING = ("show", "best", "tail", "export")
GOING_ON = ("resume", "retry")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that the command line ran."""
    folder = tmp_path_factory.mktemp("damage")
    (folder / "job.py").write_text(SCRIPT)
    command = ["run", "job.py:train", "--param", "x=choice([1])", "--samples", "2"]
    goal = ["--metric", "loss", "--mode", "min", "--storage", "storage", "--name", "sweep"]
    subprocess.run(
        [sys.executable, "-m", "localtune", *command, *goal],
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=DEADLINE_S,
    )
    return folder / "storage" / "sweep"


@pytest.fixture
def sweep(original: Path, tmp_path: Path) -> Path:
    """A copy of it, and beside it another experiment that has nothing to do with it."""
    shutil.copytree(original, tmp_path / "sweep")
    shutil.copytree(original, tmp_path / "sound")
    return tmp_path / "sweep"


@pytest.fixture
def train(original: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its trainable."""
    monkeypatch.syspath_prepend(str(original.parents[1]))
    import job  # type: ignore[import-not-found]

    yield job.train
    del sys.modules["job"]


def arguments(command: str, path: Path) -> list[str]:
    more = {
        "tail": ["0"],
        "export": ["--to", "csv", "--rows", "results", "-o", str(path.parent / "out.csv")],
        "report": ["-o", str(path.parent / "out.html")],
    }
    return [command, str(path), *more.get(command, [])]


def carried_out(
    capsys: pytest.CaptureFixture[str], command: str, path: Path
) -> tuple[int, str, str]:
    """Exit code, output and messages of a command, which never shows its own code."""
    capsys.readouterr()
    code = main(arguments(command, path))
    output, messages = capsys.readouterr()
    assert "Traceback" not in output + messages, (command, messages)
    return code, output, messages


def digest(path: Path) -> dict[str, str]:
    return {
        str(each.relative_to(path)): hashlib.sha256(
            each.read_bytes() if each.is_file() else b""
        ).hexdigest()
        for each in sorted(path.rglob("*"))
    }


def trial_dir(path: Path) -> Path:
    return min(each for each in path.iterdir() if each.name.startswith("train"))


def go_on(path: Path, train: Any) -> None:
    tune.run(train, name=path.name, storage_path=str(path.parent), resume=True, verbose=0)


def restore(path: Path, train: Any) -> None:
    tune.Tuner.restore(str(path), train).fit()


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(StorageError) as caught:
        yield
    assert any(text in str(caught.value) for text in ADVICE), caught.value


def assert_command_refused(capsys: pytest.CaptureFixture[str], command: str, path: Path) -> None:
    code, _, messages = carried_out(capsys, command, path)
    assert code == 1, (command, messages)
    assert messages.startswith(f"localtune {command}: ") and messages.count("\n") == 1, messages
    assert any(text in messages for text in ADVICE), messages


@pytest.mark.parametrize("damage", long_but([*OF_ALL][::4], OF_ALL))
def test_an_experiment_that_cannot_be_read_is_one_error(
    sweep: Path, train: Any, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    OF_ALL[damage](sweep)
    before = digest(sweep)

    with refused():
        restore(sweep, train)
    with refused():
        go_on(sweep, train)
    with refused():
        tune.ExperimentAnalysis(str(sweep))
    for command in (*READING, *GOING_ON):
        assert_command_refused(capsys, command, sweep)
    # The content of a trial's files is not lost.
    result = tune.Result.from_path(str(trial_dir(sweep)))
    assert result.metrics is not None and result.metrics["loss"] == 1
    assert result.metrics_dataframe is not None and list(result.metrics_dataframe["loss"]) == [1]
    code, _, messages = carried_out(capsys, "report", sweep)
    assert code == 0 and "Shown is what the trials' files hold" in messages
    assert digest(sweep) == before


@pytest.mark.parametrize("damage", OF_ALL)
def test_the_list_of_experiments_says_which_is_damaged(
    sweep: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    OF_ALL[damage](sweep)

    code, output, messages = carried_out(capsys, "ls", sweep.parent)
    assert code == 0
    rows = {line.split()[0]: line.split()[1] for line in output.splitlines()}
    assert (rows["sound"], rows["sweep"]) == ("done", "unreadable")
    assert "sweep: " in messages and "sound: " not in messages
    assert carried_out(capsys, "clean", sweep.parent)[0] == 0
    assert carried_out(capsys, "stop", sweep)[0] == 1


@pytest.mark.parametrize("damage", [*OF_GOING_ON, *OF_TUNER])
def test_what_is_needed_to_go_on_is_missed_only_then(
    sweep: Path, train: Any, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    (OF_GOING_ON.get(damage) or OF_TUNER[damage])(sweep)
    before = digest(sweep)

    with refused():
        restore(sweep, train)
    for command in GOING_ON:
        assert_command_refused(capsys, command, sweep)
    assert_reads_well(sweep, capsys)
    if damage in OF_GOING_ON:
        with refused():
            go_on(sweep, train)
        assert digest(sweep) == before


@pytest.mark.parametrize("damage", OF_NONE)
def test_what_the_database_has_or_knows_better_is_not_missed(
    sweep: Path, train: Any, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    OF_NONE[damage](sweep)

    assert_reads_well(sweep, capsys)
    for command in GOING_ON:
        assert carried_out(capsys, command, sweep)[0] == 0, command
    assert_reads_well(sweep, capsys)


def assert_reads_well(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis = tune.ExperimentAnalysis(str(path))
    assert [list(frame["loss"]) for frame in analysis.trial_dataframes.values()] == [[1], [1]]
    result = tune.Result.from_path(str(trial_dir(path)))
    assert result.metrics_dataframe is not None and list(result.metrics_dataframe["loss"]) == [1]
    for command in (*READING, "report"):
        assert carried_out(capsys, command, path)[0] == 0, command
        for name in ("out.csv", "out.html"):
            (path.parent / name).unlink(missing_ok=True)


@pytest.mark.parametrize("damage", OF_HISTORIES)
def test_a_damaged_history_is_missed_where_histories_are_read(
    sweep: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    OF_HISTORIES[damage](sweep)

    analysis = tune.ExperimentAnalysis(str(sweep))
    with refused():
        analysis.trial_dataframes  # noqa: B018
    assert_command_refused(capsys, "export", sweep)
    for command in ("show", "best", "tail"):
        assert carried_out(capsys, command, sweep)[0] == 0
    result = tune.Result.from_path(str(trial_dir(sweep)))
    assert result.metrics_dataframe is not None and list(result.metrics_dataframe["loss"]) == [1]


def test_who_reads_a_trial_from_its_files_is_told_why(
    sweep: Path, caplog: pytest.LogCaptureFixture
) -> None:
    OF_ALL["the database is text"](sweep)

    with caplog.at_level(logging.WARNING):
        tune.Result.from_path(str(trial_dir(sweep)))

    assert "is read from its own files. The database" in caplog.text


def test_results_that_the_database_has_lost_stay_in_the_files(sweep: Path, train: Any) -> None:
    sql("DELETE FROM results")(sweep)
    sql(f"UPDATE state SET value = {PICKLED_NONE} WHERE key = 'ended_well'")(sweep)
    before = (trial_dir(sweep) / "result.json").read_bytes()

    restore(sweep, train)

    assert (trial_dir(sweep) / "result.json").read_bytes() == before


def test_a_run_that_was_killed_before_its_first_trial_is_not_damaged(
    tmp_path: Path, train: Any
) -> None:
    tuner = tune.Tuner(
        train,
        param_space={"x": 1},
        run_config=tune.RunConfig(name="sweep", storage_path=tmp_path, verbose=0),
    )
    path = begin_only(tuner)

    assert len(tune.Tuner.restore(str(path), train).fit()) == 1
