"""The directory of an experiment, on this machine or for a store."""

from __future__ import annotations

from pathlib import Path

import pytest

import localtune as tune
from localtune.error import StorageError
from localtune.running.directory import directory_of
from tests.storage.stores import faulty_store


def test_on_this_machine_it_is_the_storage_path_and_the_name(tmp_path: Path) -> None:
    directory = directory_of(tune.RunConfig(name="mine", storage_path=tmp_path))
    assert directory.path == directory.remote_path == str(tmp_path / "mine")
    assert directory.remote is None
    directory.check()
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_one_that_cannot_be_written_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory = directory_of(tune.RunConfig(name="mine", storage_path=tmp_path / "file"))
    with pytest.raises(StorageError):
        directory.check()


def test_with_a_store_it_is_a_working_copy(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    config = tune.RunConfig(
        name="mine", storage_path=store.root, storage_filesystem=store.filesystem
    )
    directory = directory_of(config)
    assert directory.remote is not None
    assert directory.remote_path == directory.remote.uri != directory.path
    assert not directory.path.startswith(str(tmp_path))
    assert directory.path == directory_of(config).path
    directory.check()
