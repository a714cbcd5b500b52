from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from localtune.checkpoint import Checkpoint
from localtune.error import StorageError
from localtune.trainable.saving import persist_checkpoint, save_state, write_checkpoint
from localtune.trial.trial_info import StorageContext
from tests.records import unmarked


def test_paths_of_checkpoints_are_numbered(storage: StorageContext) -> None:
    assert storage.checkpoint_path(0) == os.path.join(storage.trial_dir, "checkpoint_000000")
    assert storage.checkpoint_path(1234567).endswith("checkpoint_1234567")


def test_the_index_grows_with_each_checkpoint_that_is_written(storage: StorageContext) -> None:
    def failing(directory: str) -> None:
        raise OSError("disk full")

    write_checkpoint(storage, lambda directory: None)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint(storage, failing)
    path = write_checkpoint(storage, lambda directory: None)
    assert path == storage.checkpoint_path(1)
    assert unmarked(storage.trial_dir) == ["checkpoint_000000", "checkpoint_000001"]


def test_the_directory_to_fill_is_empty_and_not_the_final_one(storage: StorageContext) -> None:
    seen: list[Any] = []

    def fill(directory: str) -> None:
        seen.extend((os.listdir(directory), os.path.exists(storage.checkpoint_path(0))))

    write_checkpoint(storage, fill)
    assert seen == [[], False]


@pytest.mark.parametrize("comes", ["before", "meanwhile"])
@pytest.mark.parametrize("kind", ["directory", "empty directory", "file", "link"])
def test_a_name_that_something_of_the_user_has_is_passed_over(
    storage: StorageContext, kind: str, comes: str
) -> None:
    def make_own() -> None:
        path = Path(storage.checkpoint_path(0))
        if kind == "file":
            path.write_text("mine")
        elif kind == "link":
            path.symlink_to("nowhere")
        else:
            path.mkdir()
            if kind == "directory":
                (path / "mine").touch()

    def fill(directory: str) -> None:
        Path(directory, "new").touch()
        if comes == "meanwhile":
            make_own()

    if comes == "before":
        make_own()
    before = os.lstat(storage.checkpoint_path(0)) if comes == "before" else None
    path = write_checkpoint(storage, fill)

    assert path == storage.checkpoint_path(1)
    assert os.listdir(path) == ["new"]
    assert before in (None, os.lstat(storage.checkpoint_path(0)))
    assert unmarked(storage.trial_dir) == ["checkpoint_000000", "checkpoint_000001"]
    assert write_checkpoint(storage, lambda _: None) == storage.checkpoint_path(2)


def test_a_missing_trial_directory_is_named(storage: StorageContext) -> None:
    os.rmdir(storage.trial_dir)
    with pytest.raises(StorageError, match=storage.trial_dir):
        write_checkpoint(storage, lambda directory: None)


class LabelledCheckpoint(Checkpoint):
    def __init__(self, path: str, label: str) -> None:
        super().__init__(path)
        self.label = label


def test_the_class_of_the_checkpoint_is_kept(storage: StorageContext, tmp_path: Path) -> None:
    given = LabelledCheckpoint(str(tmp_path), label="mine")
    (tmp_path / "weights").touch()
    stored = persist_checkpoint(storage, given)
    assert type(stored) is LabelledCheckpoint
    assert stored.label == "mine"
    assert stored.path == storage.checkpoint_path(0)
    assert given.path == str(tmp_path)


def test_a_relative_path_is_taken_from_the_working_directory(
    storage: StorageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").touch()
    monkeypatch.chdir(tmp_path)
    stored = persist_checkpoint(storage, Checkpoint.from_directory("model"))
    assert os.listdir(stored.path) == ["weights"]


def test_links_are_followed(storage: StorageContext, tmp_path: Path) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (tmp_path / "weights").write_text("w")
    (source / "link").symlink_to(tmp_path / "weights")
    stored = Path(persist_checkpoint(storage, Checkpoint(source)).path)
    assert not (stored / "link").is_symlink()
    assert (stored / "link").read_text() == "w"


@pytest.mark.parametrize("round_it", [0, 1], ids=["the directory itself", "its parent"])
def test_a_checkpoint_round_the_trial_directory_leaves_checkpoints_out(
    round_it: int, storage: StorageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial_dir = Path(storage.trial_dir)
    (trial_dir / "weights").touch()
    (trial_dir / "checkpoint_best").touch()
    source = [trial_dir, trial_dir.parent][round_it]
    monkeypatch.chdir(source)
    for _ in range(3):
        stored = Path(persist_checkpoint(storage, Checkpoint.from_directory(".")).path)
        copied = [stored, stored / "trial"][round_it]
        assert sorted(os.listdir(copied)) == ["checkpoint_best", "weights"]


def test_a_stored_checkpoint_may_be_reported_again(storage: StorageContext) -> None:
    first = write_checkpoint(storage, lambda directory: Path(directory, "weights").touch())
    second = persist_checkpoint(storage, Checkpoint(first))
    assert os.listdir(second.path) == ["weights"]
    assert os.listdir(first) == ["weights"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_directory_is_refused(
    name: str, storage: StorageContext, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=name):
        persist_checkpoint(storage, Checkpoint(tmp_path / name))
    assert os.listdir(storage.trial_dir) == []
    assert storage.next_checkpoint_index == 0


class Saves:
    def save_checkpoint(self, directory: str) -> str:
        return [os.path.join(directory, "model")][0]


def test_a_path_below_the_directory_is_refused_with_the_place_of_the_method(tmp_path: Path) -> None:
    line = Saves.save_checkpoint.__code__.co_firstlineno
    with pytest.raises(ValueError, match="is an old form that returns the path") as refusal:
        save_state(Saves().save_checkpoint, None, tmp_path)
    begin = f'Saves.save_checkpoint (File "{__file__}", line {line}): save_checkpoint() -> path '
    assert str(refusal.value).startswith(begin)
