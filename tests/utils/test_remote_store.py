"""Opening stores, and fetching from them."""

from __future__ import annotations

import builtins
import json
import os
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

import localtune as tune
from localtune.checkpoint import Checkpoint
from localtune.error import ExtraMissingError, StorageError
from localtune.storage.remote import SyncRecord, Version, split_path, working_storage_path
from localtune.utils.remote_fetch import COMPLETE_MARKER
from localtune.utils.remote_store import open_store
from tests.small_runs import reporting
from tests.storage.stores import faulty_store


def start(storage_path: str) -> None:
    tune.Tuner(reporting, run_config=tune.RunConfig(name="run", storage_path=storage_path))


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_a_kind_of_store_that_does_not_exist_is_told_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"Protocol not known: sftpp.*Did you mean 'sftp'\?"):
        start("sftpp://host/x")


def test_a_missing_package_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "dropbox")
    without(monkeypatch, "dropboxdrivefs")
    with pytest.raises(StorageError, match=r"needs a package that is not installed.*dropbox"):
        start("dropbox://x/y")


def test_a_missing_fsspec_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "fsspec")
    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[remote\]"):
        start("s3://bucket/x")
    with pytest.raises(ExtraMissingError, match="storage_filesystem needs the package 'fsspec'"):
        tune.RunConfig(storage_path="x", storage_filesystem=object())


def test_each_storage_path_has_a_working_copy_of_its_own() -> None:
    memory = fsspec.filesystem("memory")
    paths = {
        working_storage_path("s3://bucket/x"),
        working_storage_path("s3://bucket/y"),
        working_storage_path("s3://other/x"),
        working_storage_path("bucket/x", memory),
        working_storage_path(
            "bucket/x", fsspec.filesystem("memory", skip_instance_cache=True, a=1)
        ),
    }
    assert len(paths) == 5
    assert working_storage_path("s3://bucket/x/") in paths


@pytest.mark.parametrize("path", ["s3://run", "run", "s3://"])
def test_an_experiment_has_a_place_and_a_name(path: str) -> None:
    with pytest.raises(ValueError, match="names no experiment"):
        split_path(path)


def test_whose_state_is_newer() -> None:
    one = SyncRecord(own=Version("a", 3), base=Version("b", 7))
    assert one.includes(Version("b", 7))
    assert one.includes(Version("a", 3)) and one.includes(Version("a", 1))
    assert not one.includes(Version("a", 4))
    assert not one.includes(Version("b", 8)) and not one.includes(Version("b", 6))


def filled(store: Any, marker: dict[str, int] | None) -> Checkpoint:
    store.write("model/weights", b"abc")
    store.write("model/deep/more", b"d")
    if marker is not None:
        store.write(f"model/{COMPLETE_MARKER}", json.dumps(marker).encode())
    return Checkpoint(store.child("model").root, store.filesystem)


@pytest.mark.parametrize("marker", [None, {"weights": 3, "deep/more": 1}])
def test_a_checkpoint_is_fetched_without_its_marker(
    tmp_path: Path, marker: dict[str, int] | None
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    checkpoint = filled(store, marker)
    target = checkpoint.to_directory(tmp_path / "copy")
    assert sorted(os.listdir(target)) == ["deep", "weights"]
    assert Path(target, "deep", "more").read_bytes() == b"d"
    assert repr(checkpoint).startswith("Checkpoint(filesystem=FaultyFileSystem, path=")


@pytest.mark.parametrize("marker", [{"weights": 4, "deep/more": 1}, {"weights": 3, "gone": 1}])
def test_half_a_checkpoint_is_not_taken_for_a_whole_one(
    tmp_path: Path, marker: dict[str, int]
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    with pytest.raises(FileNotFoundError, match="is incomplete"):
        filled(store, marker).to_directory(tmp_path / "copy")
    with pytest.raises(FileNotFoundError, match="There are no files at"):
        Checkpoint(store.child("none").root, store.filesystem).to_directory()


def test_a_checkpoint_is_fetched_once_per_machine_and_content(tmp_path: Path) -> None:
    store, faults = faulty_store(tmp_path / "store")
    checkpoint = filled(store, None)
    paths: list[str] = []

    def read() -> None:
        with checkpoint.as_directory() as path:
            paths.append(path)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and len(set(paths)) == 1
    assert faults.gets == 1
    store.write("model/weights", b"other")
    with checkpoint.as_directory() as path:
        assert Path(path, "weights").read_bytes() == b"other"


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "a//out", "."])
def test_a_file_whose_name_leads_out_of_its_directory_is_not_fetched(
    tmp_path: Path, name: str
) -> None:
    store = open_store("memory://somewhere")
    with pytest.raises(ValueError, match="whose name leads out of its directory"):
        store.fetch([name], str(tmp_path / "target"))
    assert not os.listdir(tmp_path)


def test_a_fetch_is_tried_again(tmp_path: Path) -> None:
    store, faults = faulty_store(tmp_path / "store")
    checkpoint = filled(store, None)
    faults.failing_gets = 2
    with checkpoint.as_directory() as path:
        assert Path(path, "weights").read_bytes() == b"abc"
    assert faults.gets == 3


def test_metadata_of_a_checkpoint_in_a_store_can_be_read_only(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    checkpoint = filled(store, None)
    assert checkpoint.get_metadata() == {}
    store.write("model/.metadata.json", b'{"a": 1}')
    assert checkpoint.get_metadata() == {"a": 1}
    with pytest.raises(ValueError, match="in a store"):
        checkpoint.update_metadata({"b": 2})
