from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.error import StorageError, TrialError, UsageError
from localtune.resources import resource_dict_to_pg_factory
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reader import RunRecord, has_database
from localtune.storage.reading import load_trial, load_trials
from localtune.storage.schema import SCHEMA_VERSION
from localtune.trial.checkpoint_dirs import commit_checkpoint, unrecorded_checkpoints
from localtune.trial.checkpoint_history import CheckpointHistory, StartPoint, TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.records import add_checkpoint, add_results, make_trial

ROOT = Path(__file__).parents[2]
FULL_DISK = """
import os, resource, sys
from pathlib import Path
from localtune.error import StorageError, UsageError
from localtune.storage.experiment_db import ExperimentDB
from tests.records import make_trial

experiment = Path(sys.argv[1])
db = ExperimentDB(str(experiment))
db.save([make_trial(experiment, 0)])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = max(entry.stat().st_size for entry in os.scandir(experiment))
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, hard))
trial = make_trial(experiment, 1, config={"blob": os.urandom(1_000_000)})
try:
    db.save([trial], {"key": 1})
except StorageError as error:
    print(error)
print([each.trial_id for each in db.load()], db.get("key"))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
db.save([trial], {"key": 1})
print([each.trial_id for each in db.load()], db.get("key"))
db.close()
"""

NO_ROOM = """
import resource, sys
from localtune.error import StorageError
from localtune.storage.experiment_db import ExperimentDB

soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
try:
    ExperimentDB(sys.argv[1])
except StorageError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
db = ExperimentDB(sys.argv[1])
print(db.load())
db.close()
"""

MAIN = """
import sys
from pathlib import Path
from localtune.storage.experiment_db import ExperimentDB
from tests.records import make_trial

class Model:
    layers = 3

class MyError(Exception):
    pass

def double(x):
    return 2 * x

trial = make_trial(Path(sys.argv[1]), config={"model": Model(), "function": double})
trial.error = MyError("told by a script")
db = ExperimentDB(sys.argv[1])
db.save([trial])
db.close()
"""


class UnloadableError(Exception):
    """Is pickled without complaint and cannot be loaded: it wants two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def save(experiment: Path, *trials: Trial, **state: Any) -> None:
    db = ExperimentDB(str(experiment))
    try:
        db.save(trials, state)
    finally:
        db.close()


def ids(trials: list[Trial]) -> list[str]:
    return [trial.trial_id for trial in trials]


def test_a_directory_without_a_database_is_no_experiment(tmp_path: Path) -> None:
    assert not has_database(str(tmp_path))
    with pytest.raises(StorageError, match=r"is no experiment: it has no experiment\.db"):
        load_trials(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be written: .*grant access there"):
        ExperimentDB(str(tmp_path / "gone"))


def test_everything_about_a_trial_comes_back(tmp_path: Path) -> None:
    trial = make_trial(
        tmp_path,
        config={"lr": 0.1, "net": {"layers": [1, 2]}},
        evaluated_params={"lr": 0.1},
        experiment_tag="0_lr=0.1000",
        placement_group_factory=resource_dict_to_pg_factory({"cpu": 2}),
        stopping_criterion={"loss": 0.5},
        checkpoint_config=CheckpointConfig(num_to_keep=3),
        max_failures=2,
        log_to_file=("stdout", None),
        start_point=StartPoint(
            TrackedCheckpoint(Checkpoint("/elsewhere/checkpoint_000001"), {"a": 1}, -1), None
        ),
        seed=5,
    )
    trial.custom_trial_name = "mine"
    trial.num_failures, trial.start_time, trial.run_time_s = 1, 123.5, 4.5
    trial.set_status(Status.RUNNING)
    add_results(trial, [{"loss": 2.0, "eval": {"acc": 0.1}}, {"loss": 1.0, "eval": {"acc": 0.2}}])
    add_checkpoint(trial)
    save(tmp_path, trial)

    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        (loaded,) = db.load()

    assert isinstance(loaded, Trial)
    for name, value in vars(trial).items():
        if name not in ("checkpoints", "_metric_stats", "placement_group_factory", "start_point"):
            assert getattr(loaded, name) == value, name
    assert loaded.start_point is not None and trial.start_point is not None
    assert loaded.start_point.owner_id is None
    tracked = loaded.start_point.tracked
    assert (tracked.index, tracked.metrics) == (-1, {"a": 1})
    assert tracked.checkpoint.path == "/elsewhere/checkpoint_000001"
    assert loaded.metric_analysis == trial.metric_analysis
    assert repr(loaded.placement_group_factory) == repr(trial.placement_group_factory)
    assert (str(loaded), loaded.path) == (str(trial), trial.path)


def test_a_trial_without_results_has_none_after_loading(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path, config={"a": 1}))

    (loaded,) = load_trials(str(tmp_path))

    assert (loaded.last_result, loaded.checkpoint, loaded.error) == ({}, None, None)
    assert loaded.status is Status.PENDING


def test_checkpoints_come_back_with_metrics_and_the_latest_is_the_latest(tmp_path: Path) -> None:
    rule = CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="score")
    trial = make_trial(tmp_path, config={"a": 1}, checkpoint_config=rule)
    for result in add_results(trial, [{"score": score} for score in (5, 4, 3, 2)]):
        add_checkpoint(trial, result)
    save(tmp_path, trial)

    (loaded,) = load_trials(str(tmp_path))

    assert [each.index for each in loaded.checkpoints.kept] == [0, 1, 3]
    assert [each.index for each in loaded.checkpoints.best] == [1, 0]
    assert loaded.checkpoint is not None and trial.checkpoint is not None
    assert loaded.checkpoint.path == trial.checkpoint.path
    assert loaded.checkpoints.kept[0].metrics == trial.checkpoints.kept[0].metrics


def test_checkpoints_that_were_only_pinned_are_dropped_by_the_next_one(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, checkpoint_config=CheckpointConfig(num_to_keep=1))
    add_checkpoint(trial, {}).pins.add("another")
    add_checkpoint(trial, {})
    save(tmp_path, trial)

    (loaded,) = load_trials(str(tmp_path))
    assert [each.index for each in loaded.checkpoints.kept] == [0, 1]

    assert loaded.checkpoints.latest is not None
    add_checkpoint(loaded, {})
    assert [each.index for each in loaded.checkpoints.kept] == [2]


def test_records_of_checkpoints_come_and_go_with_them(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, checkpoint_config=CheckpointConfig(num_to_keep=2))
    db = ExperimentDB(str(tmp_path))
    kept = []
    for step in range(4):
        add_checkpoint(trial, {"step": step})
        db.save([trial])
        (loaded,) = load_trials(str(tmp_path))
        kept.append([each.metrics["step"] for each in loaded.checkpoints.kept])
    db.close()

    assert kept == [[0], [0, 1], [1, 2], [2, 3]]


def test_a_trial_that_starts_anew_keeps_no_record_of_checkpoints(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    add_checkpoint(trial, {"step": 1})
    save(tmp_path, trial)

    for fresh_connection in (True, False):
        db = ExperimentDB(str(tmp_path))
        restarted = trial if fresh_connection else db.load()[0]
        restarted.checkpoints = CheckpointHistory(restarted.checkpoint_config)
        db.save([restarted])
        assert db.load()[0].checkpoint is None
        db.close()
        save(tmp_path, trial)


def test_a_mark_is_beside_each_checkpoint_that_has_no_record(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, checkpoint_config=CheckpointConfig(num_to_keep=1))
    trial_dir = Path(trial.path)

    def add(number: int) -> None:
        staging = trial_dir / f".staging_checkpoint_{number:06d}"
        staging.mkdir()
        commit_checkpoint(str(staging), str(trial_dir / f"checkpoint_{number:06d}"))
        checkpoint = Checkpoint(trial_dir / f"checkpoint_{number:06d}")
        trial.checkpoints.register(TrackedCheckpoint(checkpoint, {}, number))

    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        add(0)
        assert [*unrecorded_checkpoints(trial.path)] == ["checkpoint_000000"]
        db.save([trial])
        assert [*unrecorded_checkpoints(trial.path)] == []

        add(1)
        db._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(StorageError):
            db.save([trial])
        # Either may be the one without a record, and none may go.
        assert [*unrecorded_checkpoints(trial.path)] == ["checkpoint_000000", "checkpoint_000001"]
        assert db.checkpoint_paths(trial) == {str(trial_dir / "checkpoint_000000")}

        db._connection.execute("PRAGMA query_only = 0")
        db.save([trial])
        assert [*unrecorded_checkpoints(trial.path)] == ["checkpoint_000000"]


def test_another_checkpoint_of_the_same_number_replaces_the_record(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    first = add_checkpoint(trial, {"step": 1})
    db = ExperimentDB(str(tmp_path))
    db.save([trial])
    trial.checkpoints.forget(first)
    trial.checkpoints.register(TrackedCheckpoint(first.checkpoint, {"step": 2}, first.index))

    db.save([trial])

    assert [each.metrics["step"] for each in db.load()[0].checkpoints] == [2]
    db.close()


def test_a_save_writes_no_more_for_a_trial_with_many_checkpoints(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    db = ExperimentDB(str(tmp_path))
    counts = []
    for _ in range(5):
        add_checkpoint(trial, {"blob": "x" * 1000})
        before = db._connection.total_changes
        db.save([trial])
        counts.append(db._connection.total_changes - before)
    db.close()

    assert counts == [2] * 5


def test_an_experiment_may_be_moved(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    trial = make_trial(tmp_path / "old")
    add_checkpoint(trial, {})
    save(tmp_path / "old", trial)

    shutil.move(tmp_path / "old", tmp_path / "new")
    (loaded,) = load_trials(str(tmp_path / "new"))

    assert loaded.path == str(tmp_path / "new" / trial.dirname)
    assert loaded.checkpoint is not None and os.path.isdir(loaded.checkpoint.path)
    assert loaded.checkpoint.path.startswith(loaded.path)


def test_a_checkpoint_outside_of_the_experiment_keeps_its_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    trial = make_trial(tmp_path / "a")
    other = make_trial(tmp_path / "b")
    tracked = add_checkpoint(other, {})
    trial.checkpoints.register(tracked)
    save(tmp_path / "a", trial)

    (loaded,) = load_trials(str(tmp_path / "a"))

    assert loaded.checkpoint is not None
    assert loaded.checkpoint.path == tracked.checkpoint.path


def test_saving_again_replaces_the_record(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    db = ExperimentDB(str(tmp_path))
    db.save([trial])
    add_results(trial, [{"loss": 1}])
    trial.status = Status.TERMINATED

    db.save([trial, trial])
    loaded = db.load()
    db.close()

    assert [(each.status, each.last_result["loss"]) for each in loaded] == [("TERMINATED", 1)]


def test_the_order_is_that_of_creation(tmp_path: Path) -> None:
    trials = [make_trial(tmp_path, number) for number in (3, 1, 2)]
    save(tmp_path, *trials)
    late = make_trial(tmp_path, 0)

    save(tmp_path, *trials[::-1], late)

    assert ids(load_trials(str(tmp_path))) == ids([*trials, late])


# -- runs -----------------------------------------------------------------------------------------


def test_a_new_run_hides_the_trials_of_the_ones_before_and_keeps_them(tmp_path: Path) -> None:
    first, second = make_trial(tmp_path, 0), make_trial(tmp_path, 1)
    for trial in (first, second):
        db = ExperimentDB(str(tmp_path))
        db.begin_run(started=12.5)
        db.save([trial])
        db.close()

    assert ids(load_trials(str(tmp_path))) == [second.trial_id]
    assert ids(load_trials(str(tmp_path), run=1)) == [first.trial_id]
    assert ids(load_trials(str(tmp_path), run=2)) == [second.trial_id]
    earlier = load_trial(first.path)
    assert earlier is not None and earlier.trial_id == first.trial_id


def test_opening_it_again_goes_on_with_the_run(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path, 0))
    save(tmp_path, make_trial(tmp_path, 1))

    assert len(load_trials(str(tmp_path))) == 2


def test_a_run_has_its_start_its_metric_and_its_trials(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.begin_run(started=12.5)
        db.start_work("loss", "min")
        ended = make_trial(tmp_path, 0)
        ended.status = Status.TERMINATED
        db.save([ended, make_trial(tmp_path, 1)])
        db.begin_run(started=13.5)

        assert db.run == 2
        assert db.runs() == [
            RunRecord(1, 12.5, "loss", "min", {"PENDING": 1, "TERMINATED": 1}),
            RunRecord(2, 13.5, None, None, {}),
        ]
        assert [run.trial_count for run in db.runs()] == [2, 0]


def test_a_run_without_trials_gives_up_its_number(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        for started in (1.0, 2.0, 3.0):
            db.begin_run(started)
        assert db.runs() == [RunRecord(1, 3.0)]


def test_each_run_has_a_state_of_its_own(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path, 0)], {"searcher": "first"})
        db.begin_run(started=1.0)
        assert db.get("searcher") is None
        db.put("searcher", "second")
        db.select_run(1)
        assert db.get("searcher") == "first"
        db.select_run(2)
        assert db.get("searcher") == "second"


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_run_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path, number: int) -> None:
    save(tmp_path, make_trial(tmp_path, 0))
    with pytest.raises(UsageError, match=f"has no run {number}: it has only the run 1"):
        load_trials(str(tmp_path), run=number)
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.begin_run(started=1.0)
    with pytest.raises(UsageError, match=f"has no run {number}: it has the runs 1 to 2"):
        load_trials(str(tmp_path), run=number)


def test_a_trial_is_found_by_its_directory(tmp_path: Path) -> None:
    trials = [make_trial(tmp_path, number) for number in range(3)]
    save(tmp_path, *trials)
    trials[1].dirname = "renamed"
    save(tmp_path, trials[1])

    found = load_trial(str(tmp_path / "renamed"))

    assert found is not None and found.trial_id == trials[1].trial_id
    assert load_trial(str(tmp_path / "trial_1")) is None
    assert load_trial(str(tmp_path / "elsewhere" / "trial_0")) is None


def test_values_are_kept_by_key(tmp_path: Path) -> None:
    db = ExperimentDB(str(tmp_path))
    db.put("searcher", {"a": [1, 2]})
    db.save([], {"searcher": {"a": [3]}, "other": None})
    db.close()

    db = ExperimentDB(str(tmp_path))
    values = [db.get("searcher"), db.get("other"), db.get("never")]
    db.close()

    assert values == [{"a": [3]}, None, None]


def test_lambdas_and_closures_in_a_config_survive(tmp_path: Path) -> None:
    offset = 3
    save(tmp_path, make_trial(tmp_path, config={"f": lambda x: x + offset}))

    (loaded,) = load_trials(str(tmp_path))

    assert loaded.config["f"](4) == 7


def test_what_a_script_defines_can_be_read_by_others(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", MAIN, tmp_path], check=True, cwd=ROOT)

    (loaded,) = load_trials(str(tmp_path))

    assert loaded.config["model"].layers == 3
    assert loaded.config["function"](4) == 8
    assert type(loaded.error).__name__ == "MyError"
    assert str(loaded.error) == "told by a script"


def test_what_cannot_be_pickled_is_kept_as_text(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, config={"lock": threading.Lock(), "lr": 0.1, "some": [1, (2,)]})
    add_results(trial, [{"loss": 1, "lock": threading.Lock()}])
    save(tmp_path, trial)

    (loaded,) = load_trials(str(tmp_path))

    assert "lock" in loaded.config["lock"] and isinstance(loaded.config["lock"], str)
    assert (loaded.config["lr"], loaded.config["some"]) == (0.1, [1, (2,)])
    assert loaded.last_result["loss"] == 1


def test_errors_come_back(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    trial.error = TrialError("broken", trial_id="x", traceback_text="Traceback: ...")
    trial.status = Status.ERROR
    save(tmp_path, trial)

    (loaded,) = load_trials(str(tmp_path))

    error = loaded.get_error()
    assert isinstance(error, TrialError)
    assert (str(error), error.trial_id, error.traceback_text) == ("broken", "x", "Traceback: ...")


@pytest.mark.parametrize("error", [UnloadableError("one", "two"), ValueError(threading.Lock())])
def test_of_an_error_that_cannot_travel_the_text_comes_back(
    error: Exception, tmp_path: Path
) -> None:
    trial = make_trial(tmp_path)
    trial.error = error
    save(tmp_path, trial)

    (loaded,) = load_trials(str(tmp_path))

    assert type(loaded.error) is TrialError
    assert str(loaded.error) == str(error)


def test_an_error_whose_module_is_gone_does_not_keep_the_rest_from_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vanishing_errors.py").write_text("class GoneError(Exception):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("vanishing_errors")
    trial = make_trial(tmp_path)
    trial.error = module.GoneError("too bad")
    save(tmp_path, trial)
    monkeypatch.delitem(sys.modules, "vanishing_errors")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])

    (loaded,) = load_trials(str(tmp_path))

    assert type(loaded.error) is TrialError and str(loaded.error) == "too bad"


def test_a_config_whose_module_is_gone_names_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vanishing_models.py").write_text("class Model:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("vanishing_models")
    save(tmp_path, make_trial(tmp_path, config={"model": module.Model()}))
    monkeypatch.delitem(sys.modules, "vanishing_models")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])

    with pytest.raises(StorageError, match="No module named 'vanishing_models'"):
        load_trials(str(tmp_path))


def test_the_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    ExperimentDB(str(tmp_path)).close()
    with contextlib.closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as connection:
        newer = pickle.dumps(SCHEMA_VERSION + 1)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (newer,))
        connection.commit()

    with pytest.raises(
        StorageError, match=r"schema version 6, .* supports 5 at most\. Use a newer"
    ):
        load_trials(str(tmp_path))


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / EXPERIMENT_DB_FILE).write_bytes(b"this is not a database" * 1000)

    with pytest.raises(StorageError, match=r"experiment\.db' cannot be read: file is not a"):
        load_trials(str(tmp_path))


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path))
    connection = sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)
    connection.execute("UPDATE trials SET progress = x'80'")
    connection.commit()
    connection.close()

    with pytest.raises(StorageError, match=r"experiment\.db' cannot be read"):
        load_trials(str(tmp_path))


def test_damaged_pages_are_told(tmp_path: Path) -> None:
    save(tmp_path, *[make_trial(tmp_path, n, config={"x": "y" * 5000}) for n in range(20)])
    path = tmp_path / EXPERIMENT_DB_FILE
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    with pytest.raises(StorageError, match="cannot be read"):
        load_trials(str(tmp_path))


def test_after_a_full_disk_nothing_is_half_written_and_saving_again_works(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    told, before, after = done.stdout.splitlines()
    assert "cannot be written to" in told and "Free space there and resume the run." in told
    assert before == "['abc_00000'] None"
    assert after == "['abc_00000', 'abc_00001'] 1"


def test_a_disk_without_room_for_a_new_database_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    told, after = done.stdout.splitlines()
    assert "cannot be written: " in told and told.endswith("there, and try again.")
    assert after == "[]"


def test_a_locked_database_is_told(tmp_path: Path) -> None:
    db = ExperimentDB(str(tmp_path))
    db._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StorageError, match="database is locked"):
            db.save([make_trial(tmp_path)])
    finally:
        other.execute("ROLLBACK")
        other.close()

    db.save([make_trial(tmp_path)])
    assert len(db.load()) == 1
    db.close()


def test_another_process_can_read_while_the_run_writes(tmp_path: Path) -> None:
    db = ExperimentDB(str(tmp_path))
    for number in range(3):
        db.save([make_trial(tmp_path, number)])
        assert len(load_trials(str(tmp_path))) == number + 1
    db.close()


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path))

    assert [name for name in os.listdir(tmp_path) if "experiment.db" in name] == ["experiment.db"]


def test_what_is_stored_needs_nothing_but_pickle(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path, config={"a": 1}))
    connection = sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)
    status, origin = connection.execute("SELECT status, origin FROM trials").fetchone()
    connection.close()

    assert (status, pickle.loads(origin)["config"]) == ("PENDING", {"a": 1})


# -- results --------------------------------------------------------------------------------------


def test_results_come_back_once_each_and_can_be_cut(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    db = ExperimentDB(str(tmp_path))
    for number in range(1, 6):
        db.add_result(trial, number, {"loss": number, "config": {"a": 1}})
    db.save([trial])
    db.cut_results(trial, 2)
    db.add_result(trial, 3, {"loss": 33})
    db.save(())
    assert list(db.results(trial.trial_id)) == [{"loss": 1}, {"loss": 2}, {"loss": 33}]
    db.close()


def test_many_results_do_not_wait_for_ever(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    db = ExperimentDB(str(tmp_path))
    for number in range(1, 1000):
        db.add_result(trial, number, {"loss": number})
    assert len(list(db.results(trial.trial_id))) >= 700
    db.close()


# -- looking without touching ---------------------------------------------------------------------


def test_looking_at_an_experiment_changes_nothing_in_it(tmp_path: Path) -> None:
    save(tmp_path, make_trial(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(load_trials(str(tmp_path))) == 1
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_was_written_last_is_seen_while_the_writer_is_open(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path)])
        assert len(load_trials(str(tmp_path))) == 1


def test_state_that_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        found: list[str] = []
        db._connection.set_trace_callback(found.append)
        for value in (1, 1, 2, "x" * 10_000, "x" * 10_000, 2):
            db.put("key", value)
        assert sum("INTO state" in each for each in found) == 5
        assert db.get("key") == 2

        db.begin_run(1.0)
        db.put("key", 2)
        assert db.get("key") == 2


def test_parts_of_a_state_that_are_written_once_are_not_kept_in_memory(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        part = bytes(1000)
        db.put("part 0", part)
        tracemalloc.start()
        for number in range(1, 100):
            db.put(f"part {number}", part)
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held_bytes < 50_000
        assert db.get("part 99") == part


def test_state_that_could_not_be_written_is_written_again(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(StorageError):
            db.put("key", 1)
        db._connection.execute("PRAGMA query_only = 0")
        db.put("key", 1)
        assert db.get("key") == 1
