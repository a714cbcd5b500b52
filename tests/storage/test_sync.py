"""The order in which ExperimentSync uploads, and what it does when that fails."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.checkpoints import remove_leftovers
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reading import load_trials
from localtune.storage.remote import attach, read_record
from localtune.storage.sync import ExperimentSync, SyncSettings
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial
from localtune.utils.remote_fetch import fetch_missing
from localtune.utils.remote_store import RemoteStore
from localtune.utils.remote_upload import upload_checkpoint
from tests.storage.stores import Faults, faulty_store

LONG_S = 60.0


class Run:
    """A working copy with one trial, whose records a test writes as a run does."""

    def __init__(self, directory: Path, store: RemoteStore, faults: Faults) -> None:
        self.directory, self.store, self.faults = directory, store, faults
        attach(store, os.fspath(directory))
        directory.mkdir(parents=True, exist_ok=True)
        self.db = ExperimentDB(os.fspath(directory))
        self.trial = Trial("train", trial_id="1", checkpoint_config=CheckpointConfig(num_to_keep=1))
        self.trial.experiment_path = os.fspath(directory)
        self.trial.dirname = "train_1"
        (directory / "train_1").mkdir(exist_ok=True)
        self.said: list[str] = []
        self.syncs: list[ExperimentSync] = []
        self.db.save([self.trial])

    def sync(self, *, by_workers: bool = False) -> ExperimentSync:
        settings = SyncSettings(first_pause_s=0.01, by_workers=by_workers)
        sync = ExperimentSync(os.fspath(self.directory), self.store, settings, self.said.append)
        self.syncs.append(sync)
        sync.start()
        return sync

    def checkpoint(self, index: int, content: str, sync: ExperimentSync | None = None) -> None:
        path = self.directory / "train_1" / f"checkpoint_{index:06d}"
        path.mkdir()
        (path / "weights").write_text(content)
        (path / "deep").mkdir()
        (path / "deep" / "more").write_text(content)
        tracked = TrackedCheckpoint(Checkpoint(path), {"training_iteration": index}, index)
        gone = self.trial.checkpoints.register(tracked)
        (self.directory / "train_1" / "result.json").write_text("{}\n" * (index + 1))
        self.db.save([self.trial])
        for each in gone:
            if sync is not None:
                sync.remove_checkpoint(each.checkpoint.path)

    def whole(self) -> set[str]:
        """Checkpoints in the store that have their marker."""
        return {
            name.split("/")[1] for name in self.store.files() if name.endswith("localtune_complete")
        }

    def recorded(self, tmp_path: Path) -> set[str]:
        """Checkpoints that the database in the store names."""
        target = tmp_path / "recorded"
        self.store.fetch([EXPERIMENT_DB_FILE], os.fspath(target))
        connection = sqlite3.connect(target / EXPERIMENT_DB_FILE)
        try:
            return {
                os.path.basename(p) for (p,) in connection.execute("SELECT path FROM checkpoints")
            }
        finally:
            connection.close()

    def close(self) -> None:
        self.faults.refuse = False
        self.faults.hold.set()
        for sync in self.syncs:
            sync.close(LONG_S)
        self.db.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    store, faults = faulty_store(tmp_path / "store")
    run = Run(tmp_path / "here" / "run", store.child("run"), faults)
    yield run
    run.close()


def test_data_comes_first_and_the_record_last(run: Run) -> None:
    run.checkpoint(0, "a")
    assert run.sync().close(LONG_S)
    names = [name.removeprefix(run.store.root + "/") for name in run.faults.calls]
    first, marker, history, record, version = (
        names.index("train_1/checkpoint_000000/weights"),
        names.index("train_1/checkpoint_000000/.localtune_complete"),
        names.index("train_1/result.json"),
        names.index(f"{EXPERIMENT_DB_FILE}.new"),
        names.index(".localtune_sync"),
    )
    assert first < marker < history < record < version
    assert run.said == []


def test_what_has_not_changed_is_not_uploaded_again(run: Run) -> None:
    run.checkpoint(0, "a")
    run.sync().close(LONG_S)
    run.faults.calls.clear()
    run.sync().close(LONG_S)
    assert not any("checkpoint_" in name for name in run.faults.calls)


def test_a_checkpoint_that_is_uploaded_by_halves_is_on_no_record(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "first")
    run.sync().close(LONG_S)
    run.checkpoint(1, "second")
    run.faults.break_at = "checkpoint_000001/weights"
    assert not run.sync().close(0.2)
    assert run.whole() == {"checkpoint_000000"}
    assert run.recorded(tmp_path) == {"checkpoint_000000"}
    with pytest.raises(FileNotFoundError):
        run.store.child("train_1/checkpoint_000001").fetch(["deep/none"], os.fspath(tmp_path / "x"))
    run.faults.break_at = None
    assert run.sync().close(LONG_S)
    assert run.whole() == run.recorded(tmp_path) == {"checkpoint_000001"}
    there = Path(run.store.root, "train_1/checkpoint_000001/weights")
    assert there.read_text() == "second"


def test_away_and_back_are_said_once_each(run: Run) -> None:
    run.faults.refuse = True
    sync = run.sync()
    assert run.faults.refused.wait(LONG_S)
    for _ in range(3):  # It goes on trying.
        run.faults.refused.clear()
        assert run.faults.refused.wait(LONG_S)
    assert len(run.said) == 1
    assert "cannot be reached (ConnectionRefusedError: nobody is there)" in run.said[0]
    run.faults.refuse = False
    assert sync.close(LONG_S)
    assert len([text for text in run.said if "can be reached again" in text]) == 1
    assert not any("does not have all" in text for text in run.said)


def test_a_checkpoint_stays_as_long_as_its_upload_needs_it(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "a")
    run.faults.hold.clear()
    sync = run.sync()
    assert run.faults.waiting.wait(LONG_S)
    run.checkpoint(1, "b", sync)
    first = run.directory / "train_1" / "checkpoint_000000"
    assert first.exists()
    run.faults.hold.set()
    assert sync.close(LONG_S)
    assert not first.exists()
    assert run.whole() == run.recorded(tmp_path) == {"checkpoint_000001"}


def test_a_checkpoint_of_a_known_name_with_other_content_is_uploaded_anew(run: Run) -> None:
    run.checkpoint(0, "old")
    run.sync().close(LONG_S)
    directory = run.directory / "train_1" / "checkpoint_000000"
    sync = run.sync()
    os.rename(directory, tmp := directory.with_name("kept"))
    directory.mkdir()
    (directory / "weights").write_text("new")
    assert tmp.exists()
    assert sync.close(LONG_S)
    there = Path(run.store.root, "train_1/checkpoint_000000")
    assert (there / "weights").read_text() == "new"
    assert not (there / "deep" / "more").exists()


def test_a_checkpoint_that_has_vanished_is_left_out_of_the_record(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "a")
    for name in ("weights", "deep/more"):
        (run.directory / "train_1" / "checkpoint_000000" / name).unlink()
    (run.directory / "train_1" / "checkpoint_000000" / "deep").rmdir()
    (run.directory / "train_1" / "checkpoint_000000").rmdir()
    assert run.sync().close(LONG_S)
    assert run.recorded(tmp_path) == set()


class Worker:
    """A worker on another machine, which uploads checkpoints of a run's trial."""

    def __init__(self, run: Run, directory: Path) -> None:
        self.run = run
        self.directory = directory

    def upload(self, index: int) -> str:
        """Uploads a checkpoint; returns its path in the parent's working copy."""
        name = f"train_1/checkpoint_{index:06d}"
        directory = self.directory / name
        directory.mkdir(parents=True)
        (directory / "weights").write_text(str(index))
        upload_checkpoint(self.run.store, name, os.fspath(directory))
        return os.fspath(self.run.directory / name)

    def record(self, path: str) -> list[str]:
        """Records a checkpoint; returns the paths of those that are on record no more."""
        index = int(path[-6:])
        tracked = TrackedCheckpoint(Checkpoint(path), {"training_iteration": index}, index)
        gone = self.run.trial.checkpoints.register(tracked)
        self.run.db.save([self.run.trial])
        return [each.checkpoint.path for each in gone]


def test_checkpoints_that_workers_upload_stay_while_a_record_needs_them(
    run: Run, tmp_path: Path
) -> None:
    worker = Worker(run, tmp_path / "node")
    first = worker.upload(0)
    worker.record(first)
    second = worker.upload(1)  # Its reply is on its way while the first pass lists the store.
    sync = run.sync(by_workers=True)
    assert run.whole() == {"checkpoint_000000", "checkpoint_000001"}
    for gone in worker.record(second):
        sync.remove_checkpoint(gone)
    deadline = time.monotonic() + LONG_S
    while run.whole() != {"checkpoint_000001"}:
        assert time.monotonic() < deadline
    worker.upload(2)  # Its node is lost before the reply arrives.
    assert sync.close(LONG_S)
    assert run.whole() == run.recorded(tmp_path) == {"checkpoint_000001"}
    assert not Path(first).exists()
    assert not run.said


def test_a_run_on_a_cluster_begins_with_the_upload_of_what_only_the_parent_has(run: Run) -> None:
    run.checkpoint(0, "a")
    sync = run.sync(by_workers=True)
    assert run.whole() == {"checkpoint_000000"}
    run.faults.calls.clear()
    assert sync.close(LONG_S)
    assert not any("checkpoint_" in name for name in run.faults.calls)


def test_another_machine_gets_all_but_the_checkpoints(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "a")
    run.sync().close(LONG_S)
    other = tmp_path / "there" / "run"
    attach(run.store, os.fspath(other))
    assert (other / "train_1" / "result.json").read_text() == "{}\n"
    assert not (other / "train_1" / "checkpoint_000000").exists()
    checkpoint = load_trials(os.fspath(other))[0].checkpoint
    assert checkpoint is not None
    with checkpoint.as_directory() as path:
        assert path == os.fspath(other / "train_1" / "checkpoint_000000")
        assert Path(path, "deep", "more").read_text() == "a"
        assert sorted(os.listdir(path)) == ["deep", "weights"]


def test_work_that_was_not_uploaded_survives_another_machine(run: Run, tmp_path: Path) -> None:
    run.sync().close(LONG_S)
    assert read_record(os.fspath(run.directory)).finished
    other = Run(tmp_path / "there" / "run", run.store, run.faults)
    run.checkpoint(0, "only here")
    run.faults.refuse = True
    assert not run.sync().close(0)
    run.faults.refuse = False
    # No other machine has gone on with the run: the working copy is the newest.
    attach(run.store, os.fspath(run.directory))
    assert (run.directory / "train_1" / "checkpoint_000000").exists()
    other.sync()
    other.close()
    attach(run.store, os.fspath(run.directory))
    assert not (run.directory / "train_1" / "checkpoint_000000").exists()
    aside = [path for path in run.directory.parent.iterdir() if ".replaced_" in path.name]
    assert len(aside) == 1
    assert (aside[0] / "train_1" / "checkpoint_000000" / "weights").read_text() == "only here"


@contextlib.contextmanager
def held_downloads(faults: Faults) -> Iterator[None]:
    """Lets downloads wait until the end of the block."""
    faults.waiting.clear()
    faults.hold_gets.clear()
    try:
        yield
    finally:
        faults.hold_gets.set()


def in_threads(*calls: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    return threads


def test_two_that_make_the_same_working_copy_share_one_download(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "a")
    run.sync().close(LONG_S)
    other = tmp_path / "there" / "run"
    run.faults.gets = 0
    attach(run.store, os.fspath(tmp_path / "alone" / "run"))
    gets = run.faults.gets
    with held_downloads(run.faults):
        threads = in_threads(*[lambda: attach(run.store, os.fspath(other))] * 3)
        assert run.faults.waiting.wait(LONG_S)
    for thread in threads:
        thread.join()
    assert run.faults.gets == 2 * gets
    assert (other / "train_1" / "result.json").read_text() == "{}\n"
    assert os.listdir(other.parent) == ["run"]


def test_a_working_copy_is_whole_while_its_next_state_is_downloaded(
    run: Run, tmp_path: Path
) -> None:
    run.sync().close(LONG_S)
    reader = tmp_path / "there" / "run"
    attach(run.store, os.fspath(reader))
    run.checkpoint(0, "a")
    run.sync().close(LONG_S)
    with held_downloads(run.faults):
        (thread,) = in_threads(lambda: attach(run.store, os.fspath(reader)))
        assert run.faults.waiting.wait(LONG_S)
        assert load_trials(os.fspath(reader))[0].checkpoint is None
    thread.join()
    assert load_trials(os.fspath(reader))[0].checkpoint is not None
    assert os.listdir(reader.parent) == ["run"]


def test_a_checkpoint_that_a_reader_is_fetching_is_no_leftover(run: Run, tmp_path: Path) -> None:
    run.checkpoint(0, "a")
    run.sync().close(LONG_S)
    other = tmp_path / "there" / "run"
    attach(run.store, os.fspath(other))
    path = other / "train_1" / "checkpoint_000000"
    staging = path.with_name(".staging_checkpoint_000000")
    with held_downloads(run.faults):
        (thread,) = in_threads(lambda: fetch_missing(os.fspath(path)))
        assert run.faults.waiting.wait(LONG_S)
        assert remove_leftovers(os.fspath(path.parent), [os.fspath(path)]) == []
        assert staging.is_dir()
    thread.join()
    assert (path / "weights").read_text() == "a"
    # The files of a killed reader are removed.
    staging.mkdir()
    assert remove_leftovers(os.fspath(path.parent), [os.fspath(path)]) == [staging.name]
