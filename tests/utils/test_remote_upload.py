"""Uploads of checkpoints and of files that change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.utils.remote_fetch import COMPLETE_MARKER
from localtune.utils.remote_upload import upload_changed, upload_checkpoint
from tests.storage.stores import faulty_store


def test_a_checkpoint_that_replaces_another_one_is_incomplete_until_its_end(
    tmp_path: Path,
) -> None:
    store, faults = faulty_store(tmp_path / "store")
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    for name in ("old", "weights"):
        (directory / name).write_text("first")
    upload_checkpoint(store, "trial/checkpoint_0", os.fspath(directory))
    (directory / "old").unlink()
    (directory / "weights").write_text("second")
    faults.break_at = "weights"
    with pytest.raises(TimeoutError):
        upload_checkpoint(store, "trial/checkpoint_0", os.fspath(directory))
    assert f"trial/checkpoint_0/{COMPLETE_MARKER}" not in store.files()
    faults.break_at = None
    upload_checkpoint(store, "trial/checkpoint_0", os.fspath(directory))
    assert store.files("trial/checkpoint_0").keys() == {"weights", COMPLETE_MARKER}
    assert store.read("trial/checkpoint_0/weights") == b"second"


def test_only_changed_files_are_uploaded(tmp_path: Path) -> None:
    store, faults = faulty_store(tmp_path / "store")
    for name in ("one", "two"):
        (tmp_path / name).write_text("first")
    known: dict[str, tuple[int, int]] = {}
    upload_changed(store, os.fspath(tmp_path), ["one", "two", "none"], known)
    faults.calls.clear()
    (tmp_path / "two").write_text("second, longer")
    upload_changed(store, os.fspath(tmp_path), ["one", "two"], known)
    assert faults.calls == [f"{store.root}/two"]
    assert store.read("two") == b"second, longer"
