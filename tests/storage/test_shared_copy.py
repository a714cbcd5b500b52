"""A program that reads one trial after the other copies the database once."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import StorageError, UntrustedDirectoryError
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage import shared_copy, snapshot
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reader import ExperimentReader
from localtune.storage.shared_copy import read_once, reader_of
from localtune.tools.cli.main import main
from tests.records import make_trial
from tests.runs.lifecycle.programs import environment
from tests.small_runs import fit

pytestmark = pytest.mark.slow

TRIALS = 5
TRIAL_ID = "abc_00000"


def train(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"loss": config["x"] + step})


class Copies:
    """How many copies were made, and what is left of them."""

    def __init__(self, place: Path) -> None:
        self.count = 0
        self._place = place

    @property
    def left(self) -> list[str]:
        gc.collect()
        return [name for name in os.listdir(self._place) if name.startswith("localtune-read-")]


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    found = Copies(place)

    def counted(source: str, target: str) -> None:
        found.count += 1
        snapshot.copy_database(source, target)

    monkeypatch.setattr(shared_copy, "copy_database", counted)
    return found


@pytest.fixture
def path(tmp_path: Path, copies: Copies) -> Path:
    space = {"x": tune.grid_search(list(range(TRIALS)))}
    found = Path(fit(train, tmp_path, space, executor="inprocess").experiment_path)
    copies.count = 0
    return found


def trial_dirs(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir())


def losses(result: Any) -> list[float]:
    return list(result.metrics_dataframe["loss"])


def test_all_results_of_a_grid_and_its_analysis_share_one_copy(
    tmp_path: Path, copies: Copies
) -> None:
    space = {"x": tune.grid_search(list(range(TRIALS)))}
    grid = fit(train, tmp_path, space, executor="inprocess")
    copies.count = 0

    assert [losses(result) for result in grid] == [[x, x + 1, x + 2] for x in range(TRIALS)]
    analysis = grid._experiment_analysis
    assert len(analysis.trial_dataframes) == TRIALS
    assert list(grid.get_dataframe("loss", "min")["loss"]) == list(range(TRIALS))
    analysis.default_metric, analysis.default_mode = "loss", "min"
    assert len(analysis.best_dataframe) == 3
    assert copies.count == 1
    del grid, analysis
    assert copies.left == []


def test_results_by_their_paths_share_one_copy_while_they_are_kept(
    path: Path, copies: Copies
) -> None:
    results = [tune.Result.from_path(str(each)) for each in trial_dirs(path)]

    assert sum(len(losses(result)) for result in results) == 3 * TRIALS
    assert copies.count == 1
    del results
    assert copies.left == []


def test_an_analysis_keeps_no_copy_before_it_is_asked_for_histories(
    path: Path, copies: Copies
) -> None:
    analysis = tune.ExperimentAnalysis(str(path))
    # A run that goes on has one, and may be killed.
    assert copies.left == []

    assert len(analysis.trial_dataframes) == len(analysis.trial_dataframes) == TRIALS
    assert copies.count == 1


@pytest.mark.parametrize("command", [["report"], ["export", "--to", "csv", "--rows", "results"]])
def test_a_command_copies_once_for_all_histories(
    path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(path.parent)
    assert main([command[0], str(path), *command[1:], "-o", "out"]) == 0
    assert copies.count == 1
    assert copies.left == []


def write_another_run(path: Path) -> None:
    with closing(ExperimentDB(str(path))) as db:
        db.begin_run(1.0)
        trial = make_trial(path, TRIALS)
        db.save([trial])


def test_what_has_been_written_meanwhile_is_seen(path: Path, copies: Copies) -> None:
    analysis = tune.ExperimentAnalysis(str(path))
    assert len(analysis.trial_dataframes) == TRIALS
    before = copies.count
    write_another_run(path)

    assert len(tune.ExperimentAnalysis(str(path)).trials) == 1
    assert len(analysis.trial_dataframes) == TRIALS
    # The two share the new copy.
    assert copies.count == before + 1


WRITER = """
import sys
from pathlib import Path
from localtune.storage.experiment_db import ExperimentDB
from tests.records import make_trial

db = ExperimentDB(sys.argv[1])
trial = make_trial(Path(sys.argv[1]), 0)
for number, _ in enumerate(sys.stdin, 1):
    db.add_result(trial, number, {"loss": number})
    db.save([trial])
    print(number, flush=True)
"""


def test_each_transaction_of_another_process_is_seen_at_once(
    tmp_path: Path, copies: Copies
) -> None:
    reader = reader_of(str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        for number in range(1, 30):
            writer.stdin.write("\n")
            assert int(writer.stdout.readline()) == number
            for _ in range(2):
                with reader.opened() as db:
                    assert len(list(db.results(TRIAL_ID))) == number
        writer.stdin.close()
        assert copies.count == 29
    assert len(copies.left) == 1


def test_a_database_that_this_process_writes_is_copied_each_time(
    tmp_path: Path, copies: Copies
) -> None:
    reader = reader_of(str(tmp_path))
    with closing(ExperimentDB(str(tmp_path))) as db:
        trial = make_trial(tmp_path, 0)
        for number in range(1, 4):
            db.add_result(trial, number, {"loss": number})
            db.save([trial])
            with reader.opened() as seen:
                assert len(list(seen.results(TRIAL_ID))) == number


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]
)
def test_a_copied_result_still_reads_its_history(
    path: Path, duplicate: Callable[[Any], Any]
) -> None:
    result = tune.Result.from_path(str(trial_dirs(path)[0]))

    assert losses(duplicate(result)) == [0, 1, 2]


def test_a_child_process_leaves_the_copy_of_its_parent(path: Path, copies: Copies) -> None:
    results = [tune.Result.from_path(str(each)) for each in trial_dirs(path)]
    pid = os.fork()
    if pid == 0:
        results.clear()
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

    assert len(copies.left) == 1
    assert losses(results[0]) == [0, 1, 2]


def test_a_copy_is_no_way_around_the_gate(path: Path, copies: Copies) -> None:
    reader = reader_of(str(path))
    with reader.opened():
        pass
    path.chmod(0o777)

    with pytest.raises(UntrustedDirectoryError), reader.opened():
        pass
    with reader.opened(trust=True):
        pass
    path.chmod(0o755)
    assert copies.count == 1


def test_no_room_for_a_copy_is_said(
    path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr(shared_copy, "copy_database", fails)
    with pytest.raises(StorageError, match=r"no room in .* or set TMPDIR"):
        tune.ExperimentAnalysis(str(path)).trial_dataframes  # noqa: B018
    assert copies.left == []


# -- reading without a copy -----------------------------------------------------------------------


def count_trials(db: ExperimentReader) -> int:
    return len(db.load())


def test_a_database_that_nobody_writes_is_read_without_a_copy(
    tmp_path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path, number) for number in range(3)])
    before = sorted(os.listdir(tmp_path))

    assert read_once(str(tmp_path), count_trials) == 3

    assert (copies.count, sorted(os.listdir(tmp_path))) == (0, before)


def test_a_database_with_a_log_is_read_in_a_copy(tmp_path: Path, copies: Copies) -> None:
    with closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path)])
        assert read_once(str(tmp_path), count_trials) == 1
        db.save([make_trial(tmp_path, 1)])
        assert read_once(str(tmp_path), count_trials) == 2
    assert copies.count == 2


def test_a_database_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, copies: Copies
) -> None:
    with closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path)])

    def read(db: ExperimentReader) -> int:
        found = count_trials(db)
        if found == 1:
            # As another process does it; this one must not while it reads.
            with closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as other:
                other.execute("DELETE FROM trials")
                other.commit()
        return found

    assert (read_once(str(tmp_path), read), copies.count) == (0, 1)


def test_reading_without_a_copy_is_no_way_around_the_gate(path: Path) -> None:
    path.chmod(0o777)

    with pytest.raises(UntrustedDirectoryError):
        read_once(str(path), count_trials)
    assert read_once(str(path), count_trials, trust=True) == TRIALS
    path.chmod(0o755)
