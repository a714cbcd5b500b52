"""Syncing a whole file system: where it is a promise, and where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.utils import file_systems
from localtune.utils.file_systems import sync_file_system


def test_it_is_done_on_a_local_file_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert sync_file_system(str(tmp_path))


def test_it_is_not_done_on_others() -> None:
    assert not sync_file_system("/proc")


def test_it_is_not_done_by_an_old_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "_kernel", lambda: (5, 7))
    assert not sync_file_system(str(tmp_path))


def test_a_directory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        sync_file_system(str(tmp_path / "missing"))
    assert len(os.listdir("/proc/self/fd")) == before
