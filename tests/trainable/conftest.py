from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from localtune.trainable import active_session
from localtune.trial.trial_info import StorageContext


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home and temporary directory that vanish with the test."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture(autouse=True)
def no_warnings_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings that are issued once only are due again in each test."""
    monkeypatch.setattr(active_session, "_warned", set())


@pytest.fixture
def storage(tmp_path: Path) -> StorageContext:
    trial_dir = tmp_path / "experiment" / "trial"
    trial_dir.mkdir(parents=True)
    return StorageContext(str(trial_dir.parent), str(trial_dir))
