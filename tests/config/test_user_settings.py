"""The settings of a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from localtune.config.user_settings import has_settings, read_settings
from localtune.error import UsageError
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.shared.shared_slots import SharedSlots


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".config" / "localtune" / "settings.toml"
    path.parent.mkdir(parents=True)
    return path


def test_without_a_file_there_are_none(settings: Path) -> None:
    assert not has_settings()
    assert read_settings() == {}


def test_they_are_what_an_executor_does_that_is_told_nothing(settings: Path) -> None:
    settings.write_text("shared = true\n")
    assert isinstance(ProcessExecutor().slots, SharedSlots)
    assert not isinstance(ProcessExecutor(shared=False).slots, SharedSlots)
    settings.write_text("shared = false\n")
    assert not isinstance(ProcessExecutor().slots, SharedSlots)
    assert isinstance(ProcessExecutor(shared=True).slots, SharedSlots)
    settings.write_text("")
    assert not isinstance(ProcessExecutor().slots, SharedSlots)


def test_a_sweep_in_a_trial_does_not_wait_for_what_the_trial_holds(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text("shared = true\n")
    monkeypatch.setenv("LOCALTUNE_TRIAL_SEED", "7")
    assert not isinstance(ProcessExecutor().slots, SharedSlots)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("shared = ", "settings.toml' cannot be read"),
        ("shred = true", "there is no setting 'shred'. Did you mean 'shared'"),
        ("shared = 1", "shared must be True, False, or the directory"),
    ],
)
def test_settings_that_are_wrong_are_refused(settings: Path, text: str, problem: str) -> None:
    settings.write_text(text)
    with pytest.raises(UsageError, match=problem):
        ProcessExecutor()
